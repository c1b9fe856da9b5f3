/** Products and applications. */
import { z } from 'zod'
import type { ProductPolicy } from '../../registry/registry.ts'
import { type ProductParams, roads } from '../contract.ts'
import {
  applicationDocument,
  certificatePem,
  deadLetterDocument,
  productDocument,
} from './documents.ts'
import { requestDer } from './files.ts'
import { assurance, file, noParams, type Table, text } from './operation.ts'

const eui64 = z.string().regex(/^[0-9a-f]{16}$/, 'is not 16 lower-case hex digits')
const days = z.number().int().min(1).max(36_500)
/** Names end in paths, tables and shells. */
const shortName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'is not a name: 1 to 64 of A-Z a-z 0-9 . _ -')

const productParams: z.ZodType<ProductParams> = z.strictObject({
  name: shortName,
  credential: z.enum(['factory', 'owner', 'either']).optional(),
  roads: z.array(z.enum(roads)).min(1).max(roads.length).optional(),
  assuranceMin: assurance.optional(),
  edhocSuiteMin: z.union([z.literal(2), z.literal(3)]).optional(),
  validityDays: days.optional(),
  renewalDays: days.optional(),
  overlapDays: z.number().int().min(0).max(3650).optional(),
  serialPattern: text.optional(),
  euiFirst: eui64.optional(),
  euiLast: eui64.optional(),
  messagesPerMinute: z.number().int().min(1).max(1_000_000).optional(),
})

export const productOperations: Table<'product.add' | 'product.set' | 'product.list'> = {
  'product.add': {
    params: productParams,
    run: async (house, params) =>
      productDocument(await house.registry.addProduct(params.name, policyOf(params))),
  },
  'product.set': {
    params: productParams,
    run: async (house, params) =>
      productDocument(await house.registry.setProduct(params.name, policyOf(params))),
  },
  'product.list': {
    params: noParams,
    run: async (house) => (await house.registry.products()).map(productDocument),
  },
}

/** What was said, as columns; what was not stays as it is. */
function policyOf({ name: _name, roads: named, ...rest }: ProductParams): Partial<ProductPolicy> {
  const said = Object.entries(rest).filter(([, value]) => value !== undefined)
  return {
    ...Object.fromEntries(said),
    ...(named === undefined ? {} : { roads: JSON.stringify([...new Set(named)]) }),
  }
}

type ApplicationNames =
  | 'application.add'
  | 'application.list'
  | 'application.test'
  | 'application.letters'
  | 'application.redeliver'
  | 'application.remove'

/** What one answer shows: more than anyone reads, and little beside the longest answer. */
const lettersMax = 200
const nameOnly = z.strictObject({ name: text })

export const applicationOperations: Table<ApplicationNames> = {
  'application.add': {
    params: z.strictObject({ name: text, webhook: text.optional(), csr: file.optional() }),
    run: async (house, { name, webhook, csr }) => {
      const { authority } = await house.keys()
      const request = csr === undefined ? undefined : requestDer(csr, '--csr')
      const added = await house.applications.add({ name, webhook })
      if (request === undefined) return added
      const { id } = added
      const issued = await authority
        .issueForApplication({ id, name, csr: request })
        .catch(async (error: unknown) => {
          // A refused request leaves no half-made application behind.
          await house.applications.remove(id)
          throw error
        })
      const certificate = certificatePem(issued.der) + certificatePem(issued.issuer)
      return { ...added, certificate }
    },
  },
  'application.list': {
    params: noParams,
    run: async (house) =>
      (await house.applications.list()).map((row) => applicationDocument(row, row.deadLetters)),
  },
  'application.test': {
    params: nameOnly,
    run: async (house, { name }) => {
      await house.keys()
      return { ...(await house.applications.test(name)) }
    },
  },
  'application.letters': {
    params: nameOnly,
    run: async (house, { name }) =>
      (await house.applications.deadLetters(name, lettersMax)).map(deadLetterDocument),
  },
  'application.redeliver': {
    params: nameOnly,
    run: async (house, { name }) => {
      await house.keys()
      return { ...(await house.applications.redeliver(name)) }
    },
  },
  'application.remove': {
    params: nameOnly,
    run: async (house, params) => {
      const { id, name } = await house.applications.remove(params.name)
      return { id, name }
    },
  },
}
