/**
 * `serve`: opens the doors of a house, keeps what must be kept while they are open, and closes them
 * in order: no new work, then what is in flight, then the house itself by whoever opened it.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Judge } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { isLoopback, literalHost, udpHost, urlHost } from '../address.ts'
import { Outbox } from '../application/outbox.ts'
import type { Authority } from '../authority/authority.ts'
import type { ServerCredential } from '../authority/serverLeaf.ts'
import { ConsoleDoor } from '../console/consoleDoor.ts'
import { PageDoor } from '../console/pageDoor.ts'
import type { PageCode } from '../console/pageLinks.ts'
import type { ConsoleLinkDocument } from '../control/contract.ts'
import { openControl } from '../control/controlServer.ts'
import { runOperation } from '../control/operations.ts'
import { CoapDoor } from '../frontend/coap/coapDoor.ts'
import { UdpSocket } from '../frontend/coap/udpSocket.ts'
import { HttpsDoor } from '../frontend/httpsDoor.ts'
import { MqttsDoor } from '../frontend/mqtt/mqttsDoor.ts'
import type { Notices, Sealer } from '../ports.ts'
import { createNotices } from '../registry/notices.ts'
import { remedyOf } from '../registry/remedies.ts'
import { version } from '../version.ts'
import { anchorOf, keepAnchors } from './anchors.ts'
import { clockError, judgeClock, lastEvent } from './clockCheck.ts'
import { factsOf } from './facts.ts'
import { devPassphraseFile } from './layout.ts'
import type { Services } from './services.ts'

export interface ServeOptions {
  /** Serve although the clock is far behind the last event: it was ahead then and is right now. */
  readonly acceptClock?: boolean
}

export interface Served {
  readonly listeners: Readonly<Record<string, string>>
  close(): Promise<void>
}

type Closer = () => unknown

/** Requests in flight get this long. */
const graceMs = 5000
/** Reservations without a certificate give back what they took. */
const voidEveryMs = 60_000

export async function serve(house: Services, options: ServeOptions = {}): Promise<Served> {
  requireLoopback(house)
  await requireClock(house, options)
  if (existsSync(join(house.dir, devPassphraseFile))) {
    house.log.warn({}, 'the passphrase of the keys lies beside the data: not for production')
  }
  const closers: Closer[] = []
  const close = async (): Promise<void> => {
    house.setListeners({})
    house.setConsoleLink(undefined)
    // The last opened closes first: the control socket, the doors, what stands behind them.
    for (const one of closers.splice(0).toReversed()) await one()
  }
  try {
    const listeners = await openAll(house, closers)
    house.setListeners(listeners)
    return { listeners, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function openAll(
  house: Services,
  closers: Closer[],
): Promise<Readonly<Record<string, string>>> {
  const { authority, sealer } = await house.keys()
  const outbox = new Outbox({ ...house, sealer })
  await outbox.start()
  closers.push(() => outbox.close())
  closers.push(keepReservations(house))
  closers.push(house.commands.startSweep())
  const credential = await authority.serverCredential()
  const trust = await keepTrust(house, closers)
  const https = await openHttps(house, authority, trust, credential, closers)
  const mqtts = await openMqtts(house, outbox, trust, credential, closers)
  const coap = await openCoap(house, authority, sealer, trust, closers)
  const console = await openConsole(house, outbox, credential, closers)
  await keepCredential(house, authority, [
    (renewed) => https.door.setCredential(renewed),
    (renewed) => mqtts.door.setCredential(renewed),
    (renewed) => console.door.setCredential(renewed),
  ]).then((stop) => closers.push(stop))
  const control = await openControl(
    house.dir,
    (operation, params) => runOperation(house, operation, params),
    house.log,
  )
  closers.push(() => control.close())
  house.announce({ control: control.endpoint })
  return { console: console.url, https: https.url, mqtts: mqtts.url, coap: coap.url }
}

/** What every door for devices judges by: one judge, and the notices that come after it. */
interface Trust {
  readonly judge: Judge
  /** A door hears from the keeper of anchors and tells the house. */
  readonly notices: Notices
}

async function keepTrust(house: Services, closers: Closer[]): Promise<Trust> {
  const { registry, clock, log, notices } = house
  const list = (): ReturnType<typeof registry.listAnchors> => registry.listAnchors()
  const judge = new Judge({ crypto: nodeCrypto, clock, anchors: (await list()).map(anchorOf) })
  const doorNotices = createNotices((error) => log.error(factsOf(error), 'a listener failed'))
  closers.push(keepAnchors({ judge, notices, doorNotices, list, log }))
  return {
    judge,
    notices: {
      listen: (listener) => doorNotices.listen(listener),
      tell: (notice) => notices.tell(notice),
    },
  }
}

async function openHttps(
  house: Services,
  authority: Authority,
  trust: Trust,
  credential: ServerCredential,
  closers: Closer[],
): Promise<{ readonly door: HttpsDoor; readonly url: string }> {
  const crl = (ca: string): ReturnType<Authority['crl']> => authority.crl(ca)
  const { est, attestationNonce } = authority
  const door = new HttpsDoor({ ...house, ...trust, est, attestationNonce, crl }, credential)
  const at = house.config.listen.https
  const port = await door.open(at)
  closers.push(() => door.close(graceMs))
  return { door, url: `https://${urlHost(at.host, house.config.hosts)}:${port}` }
}

async function openMqtts(
  house: Services,
  outbox: Outbox,
  trust: Trust,
  credential: ServerCredential,
  closers: Closer[],
): Promise<{ readonly door: MqttsDoor; readonly url: string }> {
  const door = new MqttsDoor({ ...house, ...trust, feed: outbox.feed }, credential)
  const at = house.config.listen.mqtts
  const port = await door.open(at)
  closers.push(() => door.close(graceMs))
  return { door, url: `mqtts://${urlHost(at.host, house.config.hosts)}:${port}` }
}

async function openCoap(
  house: Services,
  authority: Authority,
  sealer: Sealer,
  trust: Trust,
  closers: Closer[],
): Promise<{ readonly door: CoapDoor; readonly url: string }> {
  const credentials = await authority.edhocCredentials()
  const door = new CoapDoor({
    ...house,
    ...trust,
    openLink: (...asked) => UdpSocket.open(...asked),
    sealer,
    credentials,
    crypto: nodeCrypto,
  })
  const at = house.config.listen.coap
  const port = await door.open(at)
  closers.push(() => door.close(graceMs))
  return { door, url: `coap://${udpHost(at.host, house.config.hosts)}:${port}` }
}

async function openConsole(
  house: Services,
  outbox: Outbox,
  credential: ServerCredential,
  closers: Closer[],
): Promise<{ readonly door: ConsoleDoor; readonly url: string }> {
  const { applications, commands, clock, timers, log, config } = house
  const at = config.listen.console
  const secure = !isLoopback(at.host)
  const page = secure ? undefined : openPage(house, outbox, closers)
  const door = new ConsoleDoor({
    applications,
    streams: outbox.streams,
    commands,
    clock,
    timers,
    log,
    hosts: config.hosts,
    health: () => ({ ok: true, version }),
    ...(page === undefined ? { tls: credential } : { page }),
  })
  const port = await door.open(at)
  closers.push(() => door.close(graceMs))
  const host = door.ownsLocalhost ? urlHost(at.host, config.hosts) : literalHost(at.host)
  const url = `${secure ? 'https' : 'http'}://${host}:${port}`
  if (page !== undefined) house.setConsoleLink(() => linkTo(url, page.link()))
  return { door, url }
}

function openPage(house: Services, { streams }: Outbox, closers: Closer[]): PageDoor {
  const page = new PageDoor({ ...house, remedyOf, streams, head: () => streams.head, version })
  closers.push(() => page.close())
  return page
}

function linkTo(url: string, { code, expiresAt }: PageCode): ConsoleLinkDocument {
  return { url: `${url}/open?code=${code}`, expires: new Date(expiresAt).toISOString() }
}

/**
 * Doors show a leaf that is renewed in time, and at once when the server CA changes: the leaf of
 * the old one is due then.
 */
async function keepCredential(
  house: Services,
  authority: Authority,
  doors: readonly ((credential: ServerCredential) => void)[],
): Promise<() => void> {
  const show = (credential: ServerCredential): void => {
    house.log.info({ fingerprint: credential.fingerprint }, 'the server certificate was renewed')
    for (const door of doors) door(credential)
  }
  let shown = (await authority.serverCredential()).fingerprint
  const renew = async (): Promise<void> => {
    const credential = await authority.serverCredential()
    if (credential.fingerprint === shown) return
    shown = credential.fingerprint
    show(credential)
  }
  await authority.start((credential) => {
    shown = credential.fingerprint
    show(credential)
  })
  return house.notices.listen((notice) => {
    if (notice.kind !== 'anchors') return
    renew().catch((error: unknown) =>
      house.log.error(factsOf(error), 'the server certificate could not be renewed'),
    )
  })
}

/** Returns the way out. */
function keepReservations(house: Services): () => void {
  let timer = { cancel: (): void => undefined }
  const look = (): void => {
    house.registry
      .voidExpired()
      .catch((error: unknown) =>
        house.log.error(factsOf(error), 'reservations could not be voided'),
      )
      .finally(arm)
  }
  let open = true
  const arm = (): void => {
    if (open) timer = house.timers.after(voidEveryMs, look)
  }
  look()
  return () => {
    open = false
    timer.cancel()
  }
}

function requireLoopback(house: Services): void {
  if (!house.demo) return
  for (const [door, { host }] of Object.entries(house.config.listen)) {
    if (isLoopback(host)) continue
    throw new CallerError(
      'ERR_DEMO_LOOPBACK',
      'a folder made by the demo is served on this machine only',
      {},
      { where: `${door} on ${host}`, hint: 'Make a folder with init for others to reach.' },
    )
  }
}

async function requireClock(house: Services, options: ServeOptions): Promise<void> {
  const verdict = judgeClock(house.clock.now(), await lastEvent(house.store))
  if (verdict.verdict === 'ok') return
  if (verdict.verdict === 'behind' || options.acceptClock === true) {
    house.log.warn({ verdict: verdict.verdict }, verdict.message)
    return
  }
  throw clockError(verdict.message)
}
