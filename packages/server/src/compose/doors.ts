/**
 * `serve`: opens the doors of a house, keeps what must be kept while they are open, and closes them in order: no new work, then what is in
 * flight, then the house itself by whoever opened it.
 */
import { Judge } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { Outbox } from '../application/outbox.ts'
import type { Authority } from '../authority/authority.ts'
import { isLoopback } from '../config.ts'
import { ConsoleDoor } from '../console/consoleDoor.ts'
import { type ControlServer, openControl } from '../control/controlServer.ts'
import { runOperation } from '../control/operations.ts'
import { HttpsDoor } from '../frontend/httpsDoor.ts'
import { createNotices } from '../registry/notices.ts'
import { version } from '../version.ts'
import { anchorOf, keepAnchors } from './anchors.ts'
import { clockError, judgeClock, lastEvent } from './clockCheck.ts'
import { factsOf } from './facts.ts'
import type { Services } from './services.ts'

export interface ServeOptions {
  /** Serve although the clock is far behind the last event: it was ahead then and is right now. */
  readonly acceptClock?: boolean
}

export interface Served {
  readonly listeners: Readonly<Record<string, string>>
  close(): Promise<void>
}

/** Requests in flight get this long. */
const graceMs = 5000
/** Reservations without a certificate give back what they took. */
const voidEveryMs = 60_000

export async function serve(house: Services, options: ServeOptions = {}): Promise<Served> {
  requireLoopback(house)
  await requireClock(house, options)
  const closers: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    house.setListeners({})
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
  closers: (() => unknown)[],
): Promise<Readonly<Record<string, string>>> {
  const { authority, sealer } = await house.keys()
  const outbox = new Outbox({ ...house, sealer })
  await outbox.start()
  closers.push(() => outbox.close())
  closers.push(keepReservations(house))
  const https = await openHttps(house, authority, closers)
  const console = await openConsole(house, authority, outbox, closers)
  const control = await openControlSocket(house, closers)
  house.announce({ control: control.endpoint })
  return { console, https }
}

async function openHttps(
  house: Services,
  authority: Authority,
  closers: (() => unknown)[],
): Promise<string> {
  const { registry, clock, log, notices } = house
  const judge = new Judge({
    crypto: nodeCrypto,
    clock,
    anchors: (await registry.listAnchors()).map(anchorOf),
  })
  const doorNotices = createNotices((error) => log.error(factsOf(error), 'a listener failed'))
  const list = (): ReturnType<typeof registry.listAnchors> => registry.listAnchors()
  closers.push(keepAnchors({ judge, notices, doorNotices, list, log }))
  const door = new HttpsDoor(
    {
      judge,
      registry,
      // The door hears from the keeper of anchors and tells the house.
      notices: { listen: doorNotices.listen, tell: notices.tell },
      clock,
      log,
      store: house.store,
      est: authority.est,
      crl: (ca) => authority.crl(ca),
      timers: house.timers,
      random: house.random,
    },
    await authority.serverCredential(),
  )
  await authority.start((credential) => {
    log.info({ fingerprint: credential.fingerprint }, 'the server certificate was renewed')
    door.setCredential(credential)
  })
  // A new server CA makes the leaf of the old one due.
  closers.push(
    notices.listen((notice) => {
      if (notice.kind === 'anchors') void renewCredential(house, authority, door)
    }),
  )
  const at = house.config.listen.https
  const port = await door.open(at)
  closers.push(() => door.close(graceMs))
  return `https://${urlHost(house, at.host)}:${port}`
}

async function renewCredential(
  house: Services,
  authority: Authority,
  door: HttpsDoor,
): Promise<void> {
  try {
    door.setCredential(await authority.serverCredential())
  } catch (error) {
    house.log.error(factsOf(error), 'the server certificate could not be renewed')
  }
}

async function openConsole(
  house: Services,
  authority: Authority,
  outbox: Outbox,
  closers: (() => unknown)[],
): Promise<string> {
  const { applications, timers, log, config } = house
  const at = config.listen.console
  const secure = !isLoopback(at.host)
  const door = new ConsoleDoor({
    applications,
    streams: outbox.streams,
    timers,
    log,
    hosts: config.hosts,
    health: () => ({ ok: true, version }),
    ...(secure ? { tls: await authority.serverCredential() } : {}),
  })
  const port = await door.open(at)
  closers.push(() => door.close(graceMs))
  return `${secure ? 'https' : 'http'}://${urlHost(house, at.host)}:${port}`
}

async function openControlSocket(
  house: Services,
  closers: (() => unknown)[],
): Promise<ControlServer> {
  const control = await openControl(
    house.dir,
    (operation, params) => runOperation(house, operation, params),
    house.log,
  )
  closers.push(() => control.close())
  return control
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

/** How others call this door: by the first name that was given at `init` when it listens beyond this machine. */
function urlHost(house: Services, bound: string): string {
  if (isLoopback(bound)) return 'localhost'
  const name = house.config.hosts.find((host) => !isLoopback(host)) ?? bound
  return name.includes(':') ? `[${name}]` : name
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
