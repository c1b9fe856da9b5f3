/**
 * `doctor`: looks at a data folder, its keys, its certificates, the clock, the ports and the disk,
 * and says for each what to do. Looks only: what it opens it closes as it was.
 */
import { existsSync } from 'node:fs'
import { access, constants, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { isCountersignError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import { rootKeyFile } from '../authority/vault.ts'
import { type Config, configFile, doorNames, readConfig } from '../config.ts'
import type { CaDocument, House, HouseDocument } from '../control/contract.ts'
import { readMark } from '../store/folder.ts'
import { type Check, fail, ok, warn } from './check.ts'
import { judgeClock } from './clockCheck.ts'
import { devPassphraseFile, keysFolder } from './layout.ts'
import { checkCaToken, checkKeys, checkPort } from './probes.ts'
import { reachHouse } from './reach.ts'
import { machineClock } from './world.ts'

export interface DoctorReport {
  /** No check failed. */
  readonly ok: boolean
  readonly dir: string
  readonly checks: readonly Check[]
  readonly config: Config | null
}

export interface DoctorOptions {
  /** Checked when given. */
  readonly passphrase?: string | undefined
  readonly clock?: Clock
}

const dayMs = 86_400_000
/** Issuing CAs live for decades: their successor is made in calm. */
const caWarnMs = 365 * dayMs
/** The server's own certificates renew themselves; one that has less left was not served for long. */
const leafWarnMs = 7 * dayMs
const diskWarnBytes = 1024 ** 3
const diskFailBytes = 64 * 1024 ** 2

export async function examine(dir: string, options: DoctorOptions = {}): Promise<DoctorReport> {
  const checks: Check[] = [ok('node', `Node ${process.versions.node}`)]
  const mark = await collect(checks, 'data folder', async () => await checkFolder(dir, checks))
  let config: Config | undefined
  if (mark !== undefined) {
    config = await collect(checks, 'configuration', async () => await checkConfig(dir, checks))
    await collect(checks, 'disk', async () => void checks.push(await checkDisk(dir)))
    const house = await collect(checks, 'store', async () => await openForLooking(dir))
    if (house !== undefined) {
      try {
        await checkHouse(house, config, options.clock ?? machineClock, checks)
      } finally {
        await house.close()
      }
    }
    const { passphrase } = options
    if (passphrase === undefined) checks.push(ok('keys', 'not tried: no --passphrase-file given'))
    else
      await collect(checks, 'keys', async () => void checks.push(await checkKeys(dir, passphrase)))
  }
  const failed = checks.some((check) => check.verdict === 'fail')
  return { ok: !failed, dir, checks, config: config ?? null }
}

/** A check that throws has failed; its error says what to do. */
async function collect<T>(
  checks: Check[],
  name: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    const hint = isCountersignError(error) ? error.hint : undefined
    const where = isCountersignError(error) && error.where !== undefined ? ` (${error.where})` : ''
    const message = error instanceof Error ? error.message : String(error)
    checks.push(
      fail(name, message + where, hint ?? "The message above is the operating system's own."),
    )
    return undefined
  }
}

async function checkFolder(dir: string, checks: Check[]): Promise<{ readonly demo: boolean }> {
  const mark = readMark(dir)
  await access(dir, constants.R_OK | constants.W_OK)
  checks.push(ok('data folder', dir))
  if (mark.demo) {
    const message = 'made by the demo: its identities prove nothing'
    checks.push(warn('purpose', message, 'Use init for real devices.'))
  }
  checks.push(await checkPermissions(dir), ...checkSecrets(dir))
  return mark
}

async function checkPermissions(dir: string): Promise<Check> {
  const { mode } = await stat(dir)
  if (process.platform === 'win32' || (mode & 0o077) === 0) {
    return ok('permissions', 'only its owner can look into the folder')
  }
  return fail('permissions', 'others on this machine can look into the folder', `chmod 700 ${dir}`)
}

/** What opens the keys is better kept elsewhere. */
function checkSecrets(dir: string): readonly Check[] {
  const checks: Check[] = []
  if (existsSync(join(dir, devPassphraseFile))) {
    const remedy = 'For production make a folder without --dev.'
    checks.push(warn('passphrase', 'lies beside the data (init --dev)', remedy))
  }
  return checks
}

function checkRootKey(dir: string, cas: readonly CaDocument[]): readonly Check[] {
  if (cas.some((ca) => ca.role === 'root' && ca.key === 'token')) {
    return [ok('root key', 'is in the token')]
  }
  if (!existsSync(join(dir, keysFolder, rootKeyFile))) {
    return [ok('root key', 'is not in the folder')]
  }
  const remedy = 'Move keys/root.key to a safe place; "ca rollover --root-key" takes it from there.'
  return [warn('root key', 'lies in the folder although only a rollover needs it', remedy)]
}

async function checkConfig(dir: string, checks: Check[]): Promise<Config> {
  const config = await readConfig(dir)
  const isThere = existsSync(join(dir, configFile))
  const message = isThere ? 'is valid' : `no ${configFile}: every key has its default`
  checks.push(ok('configuration', message))
  return config
}

async function openForLooking(dir: string): Promise<House> {
  return await reachHouse(dir, {
    passphrase: () => Promise.reject(new Error('doctor asks for no passphrase')),
    warn: () => undefined,
  })
}

async function checkHouse(
  house: House,
  config: Config | undefined,
  clock: Clock,
  checks: Check[],
): Promise<void> {
  const shown = await house.call('house.show', {})
  const now = clock.now()
  checks.push(ok('store', 'opens, and its version is known'))
  checks.push(checkClock(now, shown))
  const cas = await house.call('ca.show', {})
  for (const ca of cas) {
    if (ca.status === 'active') checks.push(...checkValidity(`CA ${ca.name}`, ca, now, caWarnMs))
  }
  checks.push(...checkRootKey(shown.dir, cas), ...(await checkCaToken(cas, config?.caToken)))
  checks.push(...checkOwn(shown, now))
  await checkDoors(shown, config, checks)
}

function checkOwn({ own }: HouseDocument, now: Milliseconds): readonly Check[] {
  return own.flatMap((one) => {
    const name = `${one.state === 'next' ? 'next ' : ''}${one.profile} certificate`
    if (one.status !== 'revoked') return checkValidity(name, one, now, leafWarnMs)
    return [fail(name, 'is revoked', 'Start serve: it makes another one by itself.')]
  })
}

function checkClock(now: Milliseconds, { lastEvent }: HouseDocument): Check {
  const last = lastEvent === null ? undefined : { time: Date.parse(lastEvent.time) }
  const clock = judgeClock(now, last)
  if (clock.verdict === 'ok') return ok('clock', new Date(now).toISOString())
  const remedy = 'Set the clock (NTP): certificates and tokens are judged by it.'
  return clock.verdict === 'behind'
    ? warn('clock', clock.message, remedy)
    : fail('clock', clock.message, remedy)
}

function checkValidity(
  name: string,
  validity: Pick<CaDocument, 'notBefore' | 'notAfter'>,
  now: Milliseconds,
  warnMs: number,
): readonly Check[] {
  const { notBefore, notAfter } = validity
  if (now < Date.parse(notBefore)) {
    return [fail(name, `is not valid before ${notBefore}`, 'Is the clock right?')]
  }
  const left = Date.parse(notAfter) - now
  const remedy = name.startsWith('CA')
    ? `countersign ca rollover ${name.slice(3)}`
    : 'Start serve: it renews its certificate by itself.'
  if (left <= 0) return [fail(name, `expired at ${notAfter}`, remedy)]
  if (left < warnMs) return [warn(name, `expires at ${notAfter}`, remedy)]
  return [ok(name, notAfter.startsWith('9999') ? 'never expires' : `valid until ${notAfter}`)]
}

async function checkDoors(
  shown: HouseDocument,
  config: Config | undefined,
  checks: Check[],
): Promise<void> {
  const open = Object.entries(shown.listeners)
  for (const [door, url] of open)
    checks.push(ok(`door ${door}`, `open at ${url} (process ${shown.pid})`))
  if (open.length > 0 || config === undefined) return
  checks.push(ok('serve', 'is not running on this folder'))
  for (const door of doorNames) checks.push(await checkPort(door, config.listen[door]))
}

async function checkDisk(dir: string): Promise<Check> {
  const { bavail, bsize } = await statfs(dir)
  const free = bavail * bsize
  const message = `${(free / 1024 ** 2).toFixed(0)} MiB free`
  const remedy = 'Free some space: messages are refused when the disk is full.'
  if (free < diskFailBytes) return fail('disk', message, remedy)
  return free < diskWarnBytes ? warn('disk', message, remedy) : ok('disk', message)
}
