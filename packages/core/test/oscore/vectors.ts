/** The test vectors of RFC 8613 Appendix C, and contexts made of them. */
import { readFileSync } from 'node:fs'
import { fromHex } from '../../src/codec/index.ts'
import {
  type ContextParameters,
  deriveContext,
  type OscoreCrypto,
  type SecurityContext,
} from '../../src/oscore/index.ts'
import { node } from '../providers.ts'

type Values = Readonly<Record<string, string>>

interface Vectors {
  readonly vectors: readonly {
    readonly id: string
    readonly parts: readonly { readonly name: string | null; readonly v: Values }[]
  }[]
}

const file = new URL('../../../../vectors/oscore-rfc8613.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as Vectors

/** Values by their label in the text. */
export function vector(id: string, name: 'Client' | 'Server' | null = null): Values {
  const parts = vectors.find((one) => one.id === id)?.parts
  const values = parts?.find((part) => part.name === name)?.v
  if (values === undefined) throw new Error(`no vector ${id} ${name}`)
  return values
}

export function bytes(values: Values, label: string): Uint8Array {
  const value = values[label]
  if (value === undefined) throw new Error(`no ${label}`)
  return fromHex(value)
}

/** Of C.1, C.2 or C.3, by either side; `first` is the Sender Sequence Number it begins with. */
export function contextOf(
  id: string,
  side: 'Client' | 'Server',
  first = 0,
  crypto: OscoreCrypto = node.crypto,
): SecurityContext {
  const parameters = parametersOf(id, side, crypto)
  return deriveContext(crypto, { ...parameters, senderSequenceNumber: first })
}

export function parametersOf(
  id: string,
  side: 'Client' | 'Server',
  crypto: OscoreCrypto = node.crypto,
): ContextParameters {
  const values = vector(id, side)
  return {
    masterSecret: crypto.importSecret(bytes(values, 'Master Secret')),
    senderId: bytes(values, 'Sender ID'),
    recipientId: bytes(values, 'Recipient ID'),
    ...('Master Salt' in values && {
      masterSalt: crypto.importSecret(bytes(values, 'Master Salt')),
    }),
    ...('ID Context' in values && { idContext: bytes(values, 'ID Context') }),
  }
}
