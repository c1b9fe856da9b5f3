/** Messages of a server in the traces of RFC 8448: what the fuzzers of TLS start from. */
import { fieldOf, stepsOf, traces } from '../packages/core/test/tls/rfc8448.ts'

export type ServerMessage =
  | 'ServerHello'
  | 'EncryptedExtensions'
  | 'CertificateRequest'
  | 'Certificate'
  | 'CertificateVerify'
  | 'NewSessionTicket'
  | 'Finished'

/** Of all traces, with their headers. */
export function messages(name: ServerMessage): readonly Uint8Array[] {
  const article = name === 'EncryptedExtensions' ? 'an' : 'a'
  const label = `construct ${article} ${name} handshake message`
  return traces.flatMap((trace) =>
    stepsOf(trace, 'server', label).map((step) => fieldOf(step, name)),
  )
}

/** Without the four bytes of type and length. */
export function bodies(name: ServerMessage): readonly Uint8Array[] {
  return messages(name).map((message) => message.subarray(4))
}

/** The records that a server sends before it protects them. */
export function plainRecords(): readonly Uint8Array[] {
  return traces.flatMap((trace) =>
    stepsOf(trace, 'server', 'send handshake record')
      .map((step) => fieldOf(step, 'complete record'))
      .filter((record) => record[0] === 22),
  )
}

/** What the protected records hold, in one piece: the flight behind ServerHello. */
export function flights(): readonly Uint8Array[] {
  return traces.flatMap((trace) =>
    stepsOf(trace, 'server', 'send handshake record')
      .map((step) => ({
        payload: fieldOf(step, 'payload'),
        record: fieldOf(step, 'complete record'),
      }))
      .filter(({ record }) => record[0] === 23)
      .map(({ payload }) => payload),
  )
}
