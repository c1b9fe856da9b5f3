/** What a row of the table of operations is, and the schemas that rows share. */
import type { RevocationReason, Role } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import { z } from 'zod'
import type { Services } from '../../compose/services.ts'
import type { Assurance } from '../../ports.ts'
import {
  assurances,
  type OperationName,
  type ParamsOf,
  type ResultOf,
  revocationReasons,
} from '../contract.ts'

export interface Operation<N extends OperationName> {
  readonly params: z.ZodType<ParamsOf<N>>
  run(house: Services, params: ParamsOf<N>): Promise<ResultOf<N>>
}

export type Table<N extends OperationName = OperationName> = { readonly [M in N]: Operation<M> }

/** Longer than any id, name, serial number or reason of this product. */
const textLengthMax = 512
/** A file of PEM or DER in base64: a certificate or a request. */
const fileLengthMax = 128 * 1024

export const text: z.ZodType<string> = z.string().min(1).max(textLengthMax)
export const file: z.ZodType<string> = z.string().min(1).max(fileLengthMax)
export const noParams: z.ZodType<Record<string, never>> = z.strictObject({})
export const time: z.ZodType<number> = z.number().int().min(0).max(253_402_300_799_000)
export const role: z.ZodType<Role> = z.enum(['maker', 'owner', 'server', 'operator'])
export const assurance: z.ZodType<Assurance> = z.literal(assurances)
export const revocationReason: z.ZodType<RevocationReason> = z.enum(revocationReasons)

export function parameterError(
  where: string,
  message: string,
  hint: string,
): CallerError<'ERR_PARAMETER'> {
  return new CallerError('ERR_PARAMETER', message, {}, { where, hint })
}
