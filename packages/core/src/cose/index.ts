/** The COSE room (RFC 9052, 9053, 9360): structures, algorithms, headers, messages. */
export {
  type EncStructureFields,
  encStructure,
  macStructure,
  noBytes,
  type SigStructureFields,
  sigStructure,
} from './structures.ts'
