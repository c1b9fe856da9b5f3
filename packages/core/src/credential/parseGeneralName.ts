/**
 * GeneralName and GeneralNames (RFC 5280 §4.2.1.6), as names and as bases of constraints
 * (§4.2.1.10).
 */
import { contextConstructed, contextPrimitive, type DerReader } from '../codec/index.ts'
import { readName } from './parseName.ts'
import {
  isAbsoluteUri,
  isAddressRange,
  isDnsConstraint,
  isDnsName,
  isMailbox,
  isMailConstraint,
  isUriConstraint,
} from './parseNameSyntax.ts'
import type { GeneralName } from './types.ts'
import { listOf, syntaxError, x509Limits } from './x509Error.ts'

type Use = 'name' | 'constraint'

/** GeneralNames: one or more, all that is left in `list`. */
export function readGeneralNames(list: DerReader): readonly GeneralName[] {
  return listOf(list, 'names', x509Limits.namesMax, (from) => readGeneralName(from, 'name'))
}

/** The next element as a GeneralName. */
export function readGeneralName(from: DerReader, use: Use): GeneralName {
  const identifier = from.peek()
  switch (identifier) {
    case contextConstructed(0):
      return readOtherName(from.enter(identifier, 'otherName'))
    case contextPrimitive(1):
      return readText(from, identifier, 'email', use === 'name' ? isMailbox : isMailConstraint)
    case contextPrimitive(2):
      return readText(from, identifier, 'dns', use === 'name' ? isDnsName : isDnsConstraint)
    case contextPrimitive(6):
      return readText(from, identifier, 'uri', use === 'name' ? isAbsoluteUri : isUriConstraint)
    case contextPrimitive(7):
      return readAddress(from, identifier, use)
    case contextConstructed(4):
      return readDirectoryName(from.enter(identifier, 'directoryName'))
    case contextPrimitive(8):
      return { kind: 'registeredId', value: from.oid('registeredID', identifier) }
    case contextConstructed(3):
    case contextConstructed(5):
      return { kind: 'unsupported', tag: identifier, value: from.content(identifier, 'name') }
    default:
      // A missing element fails as such, another tag as no GeneralName.
      from.next('name')
      throw syntaxError(from, 'not a GeneralName')
  }
}

function readOtherName(other: DerReader): GeneralName {
  const type = other.oid('type-id')
  const explicit = other.enter(contextConstructed(0), 'value')
  const value = explicit.tlv('value')
  explicit.end()
  other.end()
  return { kind: 'other', type, value }
}

function readText(
  from: DerReader,
  identifier: number,
  kind: 'email' | 'dns' | 'uri',
  valid: (text: string) => boolean,
): GeneralName {
  const value = from.ia5(kind, identifier)
  if (!valid(value)) throw syntaxError(from, `malformed ${kind} name`)
  return { kind, value }
}

function readAddress(from: DerReader, identifier: number, use: Use): GeneralName {
  const value = from.content(identifier, 'iPAddress')
  const valid = use === 'name' ? value.length === 4 || value.length === 16 : isAddressRange(value)
  if (!valid) throw syntaxError(from, `malformed iPAddress of ${value.length} octets`)
  return { kind: 'ip', value }
}

/** Name is a CHOICE, so its tag is explicit although the module is IMPLICIT (X.680 §31.2.7). */
function readDirectoryName(inside: DerReader): GeneralName {
  const value = readName(inside, 'name')
  inside.end()
  return { kind: 'directory', value }
}
