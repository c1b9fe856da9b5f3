/** The handshake from the first byte to the last (RFC 8446 §2), state by state. */
import { type Negotiated, Start } from './clientStart.ts'
import type { WaitCertificateOrRequest, WaitFinished } from './clientStates.ts'
import type { HandshakeMessage } from './messageReader.ts'
import type { Established, HandshakeOptions } from './negotiation.ts'
import type { RecordProtection } from './recordProtection.ts'

/** What the states ask of the connection below them. */
export interface HandshakeWire {
  /** The next message of the server. When the connection ends before it, nobody goes on. */
  message(): Promise<HandshakeMessage>
  /** As one flight. */
  send(...messages: readonly Uint8Array[]): void
  /** For middleboxes: one change_cipher_spec, the first time. */
  changeCipherSpec(): void
  readWith(protection: RecordProtection): void
  writeWith(protection: RecordProtection): void
  /** The server's limit for our records. */
  limitTo(contentMax: number): void
}

export async function handshake(
  options: HandshakeOptions,
  wire: HandshakeWire,
): Promise<Established> {
  const negotiated = await negotiate(options, wire)
  wire.readWith(negotiated.read)
  wire.changeCipherSpec()
  wire.writeWith(negotiated.write)
  const { contentMax, next } = negotiated.next.receive(await wire.message())
  wire.limitTo(contentMax)
  const waiting = next.kind === 'finished' ? next : await authenticate(next, wire)
  const finished = waiting.receive(await wire.message())
  wire.readWith(finished.read)
  const answer = await finished.next.answer()
  wire.send(...answer.messages)
  wire.writeWith(answer.write)
  return answer.established
}

async function negotiate(options: HandshakeOptions, wire: HandshakeWire): Promise<Negotiated> {
  const first = new Start(options).offer()
  wire.send(first.message)
  const answer = first.next.receive(await wire.message())
  if (answer.kind === 'negotiated') return answer
  const second = answer.offer()
  wire.changeCipherSpec()
  wire.send(second.message)
  return second.next.receive(await wire.message())
}

async function authenticate(
  state: WaitCertificateOrRequest,
  wire: HandshakeWire,
): Promise<WaitFinished> {
  const next = state.receive(await wire.message())
  const judging = next.kind === 'judge' ? next : next.receive(await wire.message())
  return judging.judge().receive(await wire.message())
}
