/**
 * A TPM 2.0 for one test file: swtpm, and tpm2-pkcs11 in front of it. tpm2-pkcs11 needs more objects
 * in the TPM than fit at once (three, on swtpm), so somebody must swap them: tpm2-abrmd, which is
 * started by a D-Bus of this rig alone when it is first called. Sockets are files of one temporary
 * folder; no port is used. tpm2-pkcs11, GLib and the tools read this process's environment.
 *
 * A shell holds the two daemons. It ends them and removes the folder when its standard input ends,
 * so also when this process is killed; tpm2-abrmd ends with its bus.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { loadCryptoki } from '../../src/drivers/pkcs11/native.ts'

const modules = [
  '/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so',
  '/usr/lib/aarch64-linux-gnu/pkcs11/libtpm2_pkcs11.so',
  '/usr/lib64/pkcs11/libtpm2_pkcs11.so',
]

export const modulePath: string = modules.find((path) => existsSync(path)) ?? modules[0] ?? ''

/** Each with the package that has it. */
const programs = {
  swtpm: 'swtpm',
  'dbus-daemon': 'dbus',
  'tpm2-abrmd': 'tpm2-abrmd',
  'pkcs11-tool': 'opensc',
  tpm2_dictionarylockout: 'tpm2-tools',
}

/** Daemons are in /usr/sbin, which is not in everybody's PATH. */
const systemPath = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`

/** Why a TPM cannot be tested here; false when it can. A failure when PEERS=required. */
export const skip: string | false = await missing()

async function missing(): Promise<string | false> {
  const reason = await whatIsMissing()
  if (reason !== false) assert.notEqual(process.env['PEERS'], 'required', reason)
  return reason
}

async function whatIsMissing(): Promise<string | false> {
  if (!existsSync(modulePath)) return 'libtpm2-pkcs11-1 is not installed'
  for (const [program, name] of Object.entries(programs)) {
    if (!isProgram(program)) return `${name} is not installed: there is no ${program}`
  }
  const broker = join(dirname(modulePath), '../libtss2-tcti-tabrmd.so.0')
  if (!existsSync(broker)) return 'libtss2-tcti-tabrmd0 is not installed'
  try {
    await loadCryptoki(modulePath)
    return false
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function isProgram(name: string): boolean {
  return systemPath.split(':').some((folder) => existsSync(join(folder, name)))
}

export const pin = '271828'
/** Of a process that fails at once. */
const triesMax = 100
const soPin = '31415926'

export interface TpmToken {
  readonly label: string
  readonly pinFile: string
  url(object?: string): string
  /** pkcs11-tool on this token, logged in: bytes of its standard output. */
  tool(...args: string[]): Buffer
}

export interface Tpm {
  /** A token of this label, with PINs. */
  token(label: string): TpmToken
  /** Resource manager and all that it held are gone. */
  killBroker(): void
  /** Another one is there and answers. */
  wakeBroker(): void
}

let started: Promise<Tpm> | undefined

/** One for the file, gone with its process. */
export function softTpm(): Promise<Tpm> {
  started ??= start()
  return started
}

async function start(): Promise<Tpm> {
  const root = mkdtempSync(join(tmpdir(), 'countersign-swtpm-'))
  for (const name of ['state', 'store', 'services']) mkdirSync(join(root, name))
  const pinFile = join(root, 'pin')
  writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 })
  const brokerPid = join(root, 'broker-pid')
  writeBus(root, brokerPid)
  await startDaemons(root)
  Object.assign(process.env, {
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${root}/bus`,
    TPM2_PKCS11_TCTI: 'tabrmd:bus_type=session',
    TPM2_PKCS11_STORE: join(root, 'store'),
    TPM2TOOLS_TCTI: 'tabrmd:bus_type=session',
    // What the libraries say on standard error beside their return values.
    TSS2_LOG: 'all+none',
    TPM2_PKCS11_LOG_LEVEL: '0',
  })
  wakeBroker()
  return {
    token: (label) => makeToken(label, pinFile),
    wakeBroker,
    killBroker: () => process.kill(Number(readFileSync(brokerPid, 'utf8')), 'SIGKILL'),
  }
}

/** dbus-daemon(1): a bus without limits for whoever can open its socket, in a folder of mode 0700. */
function writeBus(root: string, brokerPid: string): void {
  const broker = `exec tpm2-abrmd --session --allow-root --flush-all --tcti=swtpm:path=${root}/tpm`
  const service = [
    '[D-BUS Service]',
    'Name=com.intel.tss2.Tabrmd',
    `Exec=/bin/sh -c 'echo $$ >${brokerPid}; ${broker} >>${root}/log 2>&1'`,
  ]
  writeFileSync(join(root, 'services', 'com.intel.tss2.Tabrmd.service'), `${service.join('\n')}\n`)
  const bus = `<busconfig>
  <type>session</type>
  <listen>unix:path=${root}/bus</listen>
  <auth>EXTERNAL</auth>
  <servicedir>${root}/services</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`
  writeFileSync(join(root, 'bus.conf'), bus)
}

/** Both are ready when their first process ends. $1 is the folder. */
const guard = `cd "$1" &&
swtpm socket --tpm2 --tpmstate dir="$1/state" --flags not-need-init,startup-clear \\
  --server type=unixio,path="$1/tpm" --ctrl type=unixio,path="$1/tpm.ctrl" \\
  --daemon --pid file="$1/swtpm-pid" </dev/null >>log 2>&1 &&
dbus-daemon --config-file="$1/bus.conf" --fork --print-pid=3 3>bus-pid </dev/null >>log 2>&1 &&
echo ready
read -r _
kill $(cat bus-pid swtpm-pid)
cd / && rm -rf "$1"`

async function startDaemons(root: string): Promise<void> {
  const child = spawn('/bin/sh', ['-c', guard, 'sh', root], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, PATH: systemPath },
    // What interrupts the tests from a keyboard is not for the one who cleans up.
    detached: true,
  })
  const [words]: Buffer[] = await Promise.race([once(child.stdout, 'data'), once(child, 'close')])
  if (words?.toString() !== 'ready\n') {
    assert.fail(`no TPM: ${readFileSync(join(root, 'log'), 'utf8')}`)
  }
  child.unref()
  for (const pipe of [child.stdin, child.stdout]) (pipe as unknown as Socket).unref()
}

/** It has its name on the bus before it answers there: who calls first may come too early. */
function wakeBroker(): void {
  for (let left = triesMax; ; left--) {
    try {
      tool('--list-slots')
      return
    } catch (error) {
      if (left === 0) throw error
    }
  }
}

function makeToken(label: string, pinFile: string): TpmToken {
  // By its slot: pkcs11-tool takes a label also for one that begins with it. The last is always empty.
  const slot = tool('--list-slots')
    .toString()
    .match(/^Slot \d+ \(0x[0-9a-f]+\): $/gm)
    ?.map((line) => /0x[0-9a-f]+/.exec(line)?.[0])
    .at(-1)
  assert.ok(slot !== undefined)
  const named = ['--slot', slot, '--login']
  tool('--slot', slot, '--init-token', '--label', label, '--so-pin', soPin)
  tool(...named, '--login-type', 'so', '--so-pin', soPin, '--init-pin', '--pin', pin)
  return {
    label,
    pinFile,
    url: (object) =>
      `pkcs11:token=${label}${object === undefined ? '' : `;object=${object}`}?module-path=${modulePath}&pin-source=file:${pinFile}`,
    tool: (...args) => tool(...named, '--pin', pin, ...args),
  }
}

function tool(...args: string[]): Buffer {
  return execFileSync('pkcs11-tool', ['--module', modulePath, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}
