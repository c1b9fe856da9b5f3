/**
 * EDHOC as initiator (RFC 9528 §5, Appendix A.2.1) up to message_3: what the server named is
 * judged, and it has shown its key. Bytes that were made are sent again as they are and never made
 * twice. A round that ends with the wish for another one (other suites, a certificate by value)
 * says so; each wish is heard once.
 */
import {
  type ByValue,
  coldStartItem,
  edhocContentFormat,
  edhocPath,
  encodeStart,
} from '@countersign/core/channel'
import {
  type Cancellation,
  type CoapMessage,
  coapCode,
  codeText,
  contentFormatOption,
  isServerError,
  type OutgoingRequest,
  uriPath,
} from '@countersign/core/coap'
import { cbor, equalBytes } from '@countersign/core/codec'
import { hashAlgorithm, hashNumber, thumbprint } from '@countersign/core/cose'
import {
  agreementsOf,
  type ComposeMessage3,
  Initiator,
  isErrorMessage,
  type JudgeResponder,
  type Method,
  methods,
  offer,
  type OwnCredential,
  parseError,
  type Session,
  suitesOf,
  type Unconfirmed,
  type UsableSuite,
} from '@countersign/core/edhoc'
import { PeerError } from '@countersign/core/errors'
import { challengeIn, repeatedWithEcho } from '@countersign/core/oscore'
import type { ChannelCrypto, Random } from '@countersign/core/ports'
import type { Learned } from './contexts.ts'
import { busy, misuse, refused, unknownCredential } from './errors.ts'
import { echoesMax } from './limits.ts'
import type { DeviceCredential, NarrowParts } from './parts.ts'
import type { Candidates, ServerCredentials } from './serverCredentials.ts'
import type { Wire } from './wire.ts'

/** What the rounds before have taught. */
export interface Wishes {
  /** SUITES_R, when the server said that it has none of ours up to the selected one. */
  suitesR?: readonly number[]
  /** The server's certificate by value. */
  serverByValue?: ByValue
  /** Error 3: the device's own. */
  isDeviceByValue?: boolean
}

export interface HandshakeParts extends Pick<NarrowParts, 'ephemeral' | 'suites' | 'method'> {
  readonly crypto: ChannelCrypto
  readonly random: Random
  readonly wire: Wire
  readonly credential: DeviceCredential
  readonly servers: ServerCredentials
  /** Identifiers that C_I must differ from. */
  readonly taken: readonly Uint8Array[]
  readonly signal?: Cancellation | undefined
}

/** message_3 is made and not sent. */
export interface Agreed {
  readonly session: Session
  readonly message3: Uint8Array
  readonly unconfirmed: Unconfirmed
  readonly learned: Learned
}

/** Undefined: another round, by what was added to `wishes`. */
export async function agree(parts: HandshakeParts, wishes: Wishes): Promise<Agreed | undefined> {
  const { crypto, wire, servers, signal } = parts
  const method = methodOf(parts)
  if (!servers.has(method.responder)) wishes.serverByValue ??= servers.missing
  const offered = offer(suitesFor(parts), wishes.suitesR)
  const key = await parts.ephemeral?.(offered.suite, agreementsOf(method.responder))
  const { message1, next: waitMessage2 } = new Initiator({
    crypto,
    method,
    offer: offered,
    cI: drawIdentifier(parts),
    own: ownCredential(crypto, parts.credential, wishes.isDeviceByValue === true),
    ...(key !== undefined && { ephemeral: () => key }),
  }).send(wishes.serverByValue === undefined ? [] : [coldStartItem(wishes.serverByValue)])
  const message2 = await askMessage2(wire, message1, wishes, signal)
  if (message2 === undefined) return undefined
  const judgeResponder = await waitMessage2.receive(message2)
  const judged = await judgedResponder(judgeResponder, offered.suite, method, servers, wishes)
  if (judged === undefined) return wishByValue(wishes, servers)
  const { message3, next: unconfirmed } = await judged.composeMessage3.send()
  const { session } = unconfirmed
  return { session, message3, unconfirmed, learned: judged.candidates.learn(session.peer) }
}

interface Judged {
  readonly candidates: Candidates
  readonly composeMessage3: ComposeMessage3
}

/** Undefined: nothing here has this name. Throws why it is not the server. */
async function judgedResponder(
  judgeResponder: JudgeResponder,
  suite: UsableSuite,
  method: Method,
  servers: ServerCredentials,
  wishes: Wishes,
): Promise<Judged | undefined> {
  const { reference } = judgeResponder
  try {
    const candidates = servers.find(reference, suite, method)
    if (candidates === undefined) return undefined
    const composeMessage3 = await judgeResponder.accept(...candidates.trusted)
    return { candidates, composeMessage3 }
  } catch (error) {
    // RFC 9528 §3.5.3.2: a kid alone is one byte and promises little: another certificate may have it
    // now, or the one that is kept has ended. The server shows which it is when it is asked once.
    const isKidAlone = reference.x5chain === undefined && reference.x5t === undefined
    if (!isKidAlone || wishes.serverByValue !== undefined) throw error
    if (error instanceof PeerError) return undefined
    throw error
  }
}

export function x5tOf(crypto: ChannelCrypto, leaf: Uint8Array): Uint8Array {
  return thumbprint(crypto, sha256of64, leaf).value
}

const sha256of64 = hashAlgorithm(hashNumber.sha256Truncated, 'x5t')

function methodOf({ method: number = 0 }: HandshakeParts): Method {
  const method = methods.get(number)
  if (method !== undefined) return method
  throw misuse(`method ${number} is none`, 'Choose 0 or 1.')
}

/** P-256 with AES-CCM: what elements and the server of the profile have. */
const profileSuites: ReadonlySet<number> = new Set([2, 3])

/** Policy: nothing outside of it is offered, whatever an error says. */
function suitesFor({ suites, crypto }: HandshakeParts): readonly UsableSuite[] {
  return suites ?? suitesOf(crypto).filter(({ number }) => profileSuites.has(number))
}

/** By reference, or the leaf itself: an array around it begins with two (RFC 9360 §2). */
function ownCredential(
  crypto: ChannelCrypto,
  { leaf, signer }: DeviceCredential,
  byValue: boolean,
): OwnCredential {
  const reference = byValue ? { x5chain: [leaf] } : { x5t: thumbprint(crypto, sha256of64, leaf) }
  return { kind: 'signature', reference, credential: cbor.byteString(leaf), signer }
}

/** Bytes that travel as an integer (RFC 9528 §3.3.2): hex 00 to 17 and 20 to 37. */
const shortIdentifiers: readonly number[] = Array.from({ length: 48 }, (_, index) =>
  index < 24 ? index : 0x20 + index - 24,
)

function drawIdentifier({ random, taken }: HandshakeParts): Uint8Array {
  for (;;) {
    const [drawn = 0] = random.bytes(1)
    // 256 is four times 64: each of the 48 is as likely as the others.
    const byte = shortIdentifiers[drawn % 64]
    if (byte === undefined) continue
    const identifier = Uint8Array.of(byte)
    if (!taken.some((one) => equalBytes(one, identifier))) return identifier
  }
}

/** Undefined: another round. Throws what the server, or somebody in its name, refuses. */
async function askMessage2(
  wire: Wire,
  message1: Uint8Array,
  wishes: Wishes,
  signal: Cancellation | undefined,
): Promise<Uint8Array | undefined> {
  let request: OutgoingRequest = edhocRequest(encodeStart(message1))
  for (let echoes = 0; ; echoes++) {
    const answer = await wire.ask({
      what: 'message_1',
      request,
      verify: message2In,
      // The first costs nothing but to be followed; of the next ones any may be anybody's.
      isHarmless: (response) => echoes === 0 && challengeIn(response) !== undefined,
      signal,
    })
    if (answer.kind === 'verified') return answer.value
    // RFC 9175 §2.4: the same message_1, with what shows that the address is ours.
    const again = repeatedWithEcho(request, answer.response)
    if (again === undefined || echoes === echoesMax) {
      heed(answer.response, wishes)
      return undefined
    }
    request = again
  }
}

/** Whether it is the right one nobody can say here: the next state does. */
function message2In({ code, payload }: CoapMessage): Uint8Array | undefined {
  if (code !== coapCode.changed || payload.length === 0 || isErrorMessage(payload)) return undefined
  return payload
}

/**
 * What an error that nobody authenticates may change. Else throws PeerError ERR_NARROW_REFUSED, or
 * AdapterError ERR_NARROW_BUSY.
 */
export function heed(response: CoapMessage, wishes: Wishes): void {
  const { code, payload } = response
  if (isBusy(code)) throw busy(codeText(code))
  const error = errorIn(payload)
  if (error?.kind === 'wrong suite' && wishes.suitesR === undefined) {
    wishes.suitesR = error.suitesR
    return
  }
  if (error?.kind === 'unknown credential' && wishes.isDeviceByValue !== true) {
    wishes.isDeviceByValue = true
    return
  }
  const said = error?.kind === 'unspecified' ? error.text : (error?.kind ?? 'without a reason')
  throw refused(said, { code, kind: error?.kind })
}

/** It speaks of now, not of this device. */
function isBusy(code: number): boolean {
  return isServerError(code) || code === coapCode.tooManyRequests
}

function errorIn(payload: Uint8Array): ReturnType<typeof parseError> | undefined {
  if (payload.length === 0) return undefined
  try {
    return isErrorMessage(payload) ? parseError(payload) : undefined
  } catch (error) {
    if (error instanceof PeerError) return undefined
    throw error
  }
}

function wishByValue(wishes: Wishes, servers: ServerCredentials): undefined {
  if (wishes.serverByValue !== undefined) {
    throw unknownCredential('the server was asked for its certificate and sent a name')
  }
  wishes.serverByValue = servers.missing
}

export function edhocRequest(payload: Uint8Array): OutgoingRequest {
  const format = contentFormatOption(edhocContentFormat.withIdentifier)
  return { code: coapCode.post, options: [...uriPath(...edhocPath), format], payload }
}
