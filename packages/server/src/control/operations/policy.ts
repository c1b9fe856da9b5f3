/** Products and applications. */
import { z } from 'zod'
import type { ProductParams } from '../contract.ts'
import { applicationDocument, productDocument } from './documents.ts'
import { fileDer } from './files.ts'
import { file, noParams, parameterError, type Table, text } from './operation.ts'

const eui64 = z.string().regex(/^[0-9a-f]{16}$/, 'is not 16 lower-case hex digits')
const days = z.number().int().min(1).max(36_500)
/** Names end in paths, tables and shells. */
const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'is not a name: 1 to 64 of A-Z a-z 0-9 . _ -')

const productParams: z.ZodType<ProductParams> = z.strictObject({
  name,
  credential: z.enum(['factory', 'owner', 'either']).optional(),
  roads: z
    .array(z.enum(['mqtts', 'https', 'coap', 'lorawan', 'ble', 'zigbee', 'serial']))
    .min(1)
    .max(7)
    .optional(),
  assuranceMin: z.number().int().min(0).max(4).optional(),
  validityDays: days.optional(),
  renewalDays: days.optional(),
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
function policyOf({ name: _name, roads, ...rest }: ProductParams): Partial<ProductPolicy> {
  const said = Object.entries(rest).filter(([, value]) => value !== undefined)
  return {
    ...Object.fromEntries(said),
    ...(roads === undefined ? {} : { roads: JSON.stringify([...new Set(roads)]) }),
  }
}
