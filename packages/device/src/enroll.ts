/**
 * `device enroll`: the first certificate of this device, over EST (RFC 7030 §4.2) with the one-time
 * token of an invitation. The key is made and the attempt written down before anything is sent:
 * whatever gets lost on the way, the next attempt asks with the same key and the server answers
 * with the same certificate.
 */
import { fromHex } from '@countersign/core/codec'
import { attributeOid, macAddressName } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import { softwareUrl } from '@countersign/element/url'
import { type CertificateReport, describe } from './certificate.ts'
import { systemWorld } from './compose.ts'
import { openConnection } from './connect.ts'
import type { DeviceErrorCode } from './errors.ts'
import { simpleEnroll } from './est.ts'
import { persist } from './retry.ts'
import { type DeviceState, openState } from './state/folder.ts'
import type { Identity } from './state/identity.ts'
import { firstSlot, prepareKey } from './slots.ts'
import { parseTarget, type ServerTarget } from './target.ts'
import type { Listener, World } from './world.ts'

export interface EnrollOptions {
  /** `https://host:port`. */
  readonly server: string
  /** `mqtts://host:port`, kept for "--road mqtts"; enrolment itself is EST over https. */
  readonly mqtts?: string
  /** `coap://host:port`, kept for "--road coap". */
  readonly coap?: string
  readonly token: string
  /** SHA-256 of the SubjectPublicKeyInfo of the server issuing CA, hex. */
  readonly anchor: string
  readonly serial: string
  readonly eui64?: string
  readonly state: string
  /** Element URL; `software:` by default. */
  readonly element?: string
  /** Make a new key also where a chip or token holds one, in a free slot if none is named. */
  readonly newKey?: boolean
  /** Of the element; the first that serves when it is absent. */
  readonly slot?: number
  /** Ends the attempts; the next call goes on where this one was. */
  readonly signal?: AbortSignal
  readonly world?: World
  /** Hears `unreachable` before each further attempt. */
  readonly listener?: Listener
}

export interface EnrollResult extends CertificateReport {
  readonly server: string
  readonly state: string
  readonly element: string
  readonly slot: number
}

/** About ten seconds of broken connections before the terminal is given back. */
const attemptsMax = 7

/**
 * @example await enroll({ server: 'https://localhost:8444', token, anchor, serial: 'SN-0001', state: './countersign-device' })
 */
export async function enroll(options: EnrollOptions): Promise<EnrollResult> {
  const world = options.world ?? systemWorld()
  const target = parseTarget(options.server, options.anchor)
  const kept = (scheme: 'mqtts' | 'coap'): string | undefined => {
    const url = options[scheme]
    return url === undefined ? undefined : parseTarget(url, options.anchor, scheme).url
  }
  requireSerial(options.serial)
  if (options.token === '') throw noToken()
  const wanted: Identity = {
    version: 1,
    element: options.element ?? softwareUrl,
    server: target.url,
    mqtts: kept('mqtts'),
    coap: kept('coap'),
    anchor: target.anchor,
    serial: options.serial,
    eui64: options.eui64 === undefined ? undefined : parseEui64(options.eui64),
    current: undefined,
    pending: undefined,
  }
  const state = await openState(options.state, world, { create: true, element: wanted.element })
  try {
    const slot = await begin(state, wanted, options)
    const { signal, listener } = options
    const certificates = await persist(() => attempt(state, slot, target, options, world), {
      attemptsMax,
      world,
      listener,
      signal,
    })
    await state.save({ ...wanted, current: { slot, certificates } })
    const { element } = wanted
    return { ...describe(certificates), server: target.url, state: options.state, element, slot }
  } finally {
    await state.close()
  }
}

/** Makes the key, unless an interrupted attempt with the same words has made it. Its slot. */
async function begin(
  state: DeviceState,
  wanted: Identity,
  { newKey = false, slot }: EnrollOptions,
): Promise<number> {
  const found = state.identity
  if (found?.current !== undefined) {
    throw new CallerError<DeviceErrorCode>(
      'ERR_ALREADY_ENROLLED',
      `this state folder holds the identity of ${found.serial} at ${found.server}`,
      {},
      {
        where: state.folder,
        hint: '"device renew" renews its certificate; another device needs another --state.',
      },
    )
  }
  // Asked for anew, a key is made anew, also when an attempt with the same words has made one.
  const begun = found !== undefined && !newKey && sameAttempt(found, wanted) ? found : undefined
  const chosen = await firstSlot(state.element, { newKey, slot: slot ?? begun?.pending?.slot })
  const isMade = begun?.pending?.slot === chosen.slot && chosen.state === 'key'
  if (!isMade) await prepareKey(state.element, chosen, newKey)
  await state.save({ ...wanted, pending: { slot: chosen.slot, certificates: undefined } })
  return chosen.slot
}

function sameAttempt(found: Identity, wanted: Identity): boolean {
  return (
    found.element === wanted.element &&
    found.server === wanted.server &&
    found.anchor === wanted.anchor &&
    found.serial === wanted.serial &&
    found.eui64 === wanted.eui64
  )
}

async function attempt(
  state: DeviceState,
  slot: number,
  target: ServerTarget,
  { token, signal }: EnrollOptions,
  world: World,
): Promise<string> {
  const { identity } = state
  if (identity === undefined) throw noToken()
  const connection = openConnection({ world, target, credential: undefined })
  const stop = (): void => connection.close()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    return await simpleEnroll(connection, {
      operation: 'simpleenroll',
      element: state.element,
      slot,
      subject: [{ type: attributeOid.serialNumber, value: identity.serial }],
      altNames: identity.eui64 === undefined ? [] : [macAddressName(fromHex(identity.eui64))],
      token,
    })
  } finally {
    signal?.removeEventListener('abort', stop)
    connection.close()
  }
}

/**
 * RFC 5280 §4.1.2.4 and X.520: serialNumber is a PrintableString; the server takes up to 64
 * characters.
 */
function requireSerial(serial: string): void {
  if (/^[A-Za-z0-9 '()+,./:=?-]{1,64}$/.test(serial)) return
  throw new CallerError<DeviceErrorCode>(
    'ERR_SERIAL_FORMAT',
    `${JSON.stringify(serial.slice(0, 80))} cannot be a serial number`,
    {},
    { where: '--serial', hint: "1 to 64 letters, digits, spaces and ' ( ) + , - . / : = ?" },
  )
}

/** Bare lower-case hex, from any of the usual ways of writing it. */
export function parseEui64(text: string): string {
  const bare = text.toLowerCase().replaceAll(/[-:]/g, '')
  if (/^[0-9a-f]{16}$/.test(bare)) return bare
  throw new CallerError<DeviceErrorCode>(
    'ERR_EUI64_FORMAT',
    `${JSON.stringify(text.slice(0, 80))} is not an EUI-64`,
    {},
    { where: '--eui64', hint: 'Use 16 hex digits; without --eui64 the server chooses one.' },
  )
}

function noToken(): CallerError<DeviceErrorCode> {
  return new CallerError(
    'ERR_ENROLL_REFUSED',
    'an enrolment needs the token of an invitation',
    {},
    { where: '--token', hint: 'Take it from "countersign identity invite --json".' },
  )
}
