/** Every bound of the coap door, with its reason. What it shares with other doors is common. */
import type { UsageLimits } from '@countersign/core/oscore'
import { commonLimits, type IntakeLimits } from '../limits.ts'

export interface CoapLimits extends IntakeLimits {
  /** Certificates remembered as a maker's. */
  readonly rolesRememberedMax: number
  /**
   * Handshakes that wait for message_3, in the whole door: about 5 KiB of heap each with what their
   * message_1 has left in other memories, up to 20 KiB of what the process holds. Those of addresses
   * that nobody has proven go first.
   */
  readonly halfOpenMax: number
  /** Of one address: a factory hall behind one NAT still fits when it has shown its address. */
  readonly halfOpenPerAddressMax: number
  /** From here on, in the whole door, an address has to show that it is there (RFC 9175 §2.4). */
  readonly halfOpenUnprovenMax: number
  /** The same of one address. */
  readonly halfOpenUnprovenPerAddressMax: number
  /**
   * message_2 to message_3: a round trip of the slowest link, retransmissions and a signature of a
   * secure element in it (RFC 7252 §4.8.2: MAX_TRANSMIT_WAIT is 93 s).
   */
  readonly halfOpenMsMax: number
  /** Messages that come as message_3 of one handshake and do not open; the last of them ends it. */
  readonly foreignMessages3Max: number
  /** Handshakes started per second by one address that has not shown that it is there. */
  readonly handshakesPerAddressPerSecond: number
  readonly handshakesPerAddressBurst: number
  /** The same of one that has: a factory hall behind one NAT is in within a minute or two. */
  readonly provenHandshakesPerAddressPerSecond: number
  readonly provenHandshakesPerAddressBurst: number
  /**
   * Handshakes begun in the whole door. Each takes about 2.4 ms of the process until its context is
   * there (a key, an agreement, a signature, a verification, its row): whoever has any number of
   * addresses leaves it more than half of its time for devices that are in. More are asked to come
   * again.
   */
  readonly handshakes: { readonly perSecond: number; readonly burst: number }
  /** The part of them that addresses can have which have shown nothing: the others show by Echo. */
  readonly unprovenHandshakes: { readonly perSecond: number; readonly burst: number }
  /**
   * A finished handshake whose messages are still answered with the same bytes (RFC 7252 §4.8.2).
   */
  readonly finishedMsMax: number
  readonly finishedMax: number
  /** Contexts that have carried no message yet: a device makes one when it has something to say. */
  readonly freshMsMax: number
  readonly freshMax: number
  readonly freshPerDeviceMax: number
  /**
   * Contexts in memory: about 12 KiB each of what the process holds, with keys, verdict and what
   * judging its device has left in other memories (`bench/coapMemory.ts`). The others are in the
   * store. One that somebody works with stays beyond it, and so does a fresh one: what requests,
   * couriers and freshMax leave room for.
   */
  readonly contextsInMemoryMax: number
  /** Look-ups of contexts in the store under way; more frames are dropped, as if they were lost. */
  readonly lookUpsInFlightMax: number
  /** Unprotected answers to one address and to all: the door is nobody's amplifier. */
  readonly strangerAnswersPerAddress: { readonly perSecond: number; readonly burst: number }
  readonly strangerAnswers: { readonly perSecond: number; readonly burst: number }
  /** An unprotected answer is at most so many times as long as its request. */
  readonly amplificationMax: number
  /**
   * Requests of one device that are answered, beside twice the messages that its product may send:
   * what is no message, each block of one, and what a device asks that may not come in. More are
   * dropped.
   */
  readonly requestsPerDevice: { readonly perSecond: number; readonly burst: number }
  /** Addresses and devices whose rates are remembered. */
  readonly ratesRememberedMax: number
  /** Tighter than those of OSCORE: how much the keys of a context may be used. */
  readonly keyUsage: Partial<UsageLimits>
  /**
   * A context so young is not to be replaced because its keys were used much: who forges messages,
   * which is what wears them, costs a device one handshake in this time.
   */
  readonly keysWantedAfterMs: number
  /** Tombstones of one device, and how long one stands. */
  readonly tombstonesPerDeviceMax: number
  readonly tombstoneMsMax: number
  /** Sequence numbers of the server that are written down ahead. */
  readonly reservedAhead: number
  /** How often what is past its time is looked for in memory, and in the store. */
  readonly sweepMs: number
  readonly rowSweepMs: number
  /** Commands looked at for one device: more than may wait. */
  readonly commandsPerLookMax: number
  /** Devices that a command is brought to at a time: each has a request under way. */
  readonly couriersMax: number
  /** Devices that wait for their turn; one more has to speak first. */
  readonly couriersWaitingMax: number
}

const dayMs = 86_400_000

export const coapLimitsOfDoor: CoapLimits = {
  messageBytesMax: commonLimits.messageBytesMax,
  messagesInFlightMax: commonLimits.messagesInFlightMax,
  ratesRememberedMax: commonLimits.ratesRememberedMax,
  rolesRememberedMax: commonLimits.rolesRememberedMax,
  halfOpenMax: 8_192,
  halfOpenPerAddressMax: 2_048,
  halfOpenUnprovenMax: 1_024,
  halfOpenUnprovenPerAddressMax: 64,
  halfOpenMsMax: 100_000,
  foreignMessages3Max: 8,
  handshakesPerAddressPerSecond: 10,
  handshakesPerAddressBurst: 20,
  provenHandshakesPerAddressPerSecond: 30,
  provenHandshakesPerAddressBurst: 60,
  handshakes: { perSecond: 150, burst: 150 },
  unprovenHandshakes: { perSecond: 50, burst: 100 },
  finishedMsMax: 250_000,
  finishedMax: 4_096,
  freshMsMax: 600_000,
  freshMax: 4_096,
  freshPerDeviceMax: 4,
  contextsInMemoryMax: 10_000,
  lookUpsInFlightMax: 256,
  strangerAnswersPerAddress: { perSecond: 10, burst: 100 },
  strangerAnswers: { perSecond: 2_000, burst: 4_000 },
  amplificationMax: 3,
  requestsPerDevice: { perSecond: 50, burst: 500 },
  keyUsage: {},
  keysWantedAfterMs: dayMs,
  tombstonesPerDeviceMax: 4,
  tombstoneMsMax: 30 * dayMs,
  reservedAhead: 64,
  sweepMs: 5_000,
  rowSweepMs: 3_600_000,
  commandsPerLookMax: 128,
  couriersMax: 1_024,
  couriersWaitingMax: 16_384,
}
