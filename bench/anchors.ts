/**
 * The servers that ours is measured against, each a process of its own with the certificates of the
 * made house: Debian's nginx and mosquitto, and Node's TLS with nothing around it.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, isOpen, placeOf, type Running, start } from './processes.ts'
import type { MadeHouse } from './servedHouse.ts'

export interface Anchor extends Running {
  readonly port: number
}

export interface MissingProgram {
  readonly missing: string
}

/**
 * `ssl_verify_client on` with a root on P-256: the client sends leaf and issuing CA, the chain is
 * checked, and nothing else is asked of it.
 */
export async function startNginx(house: MadeHouse): Promise<Anchor | MissingProgram> {
  const command = placeOf('nginx')
  if (command === undefined)
    return { missing: 'nginx is not on this machine: Debian package nginx-light' }
  const port = await freePort()
  const conf = join(house.folder, 'nginx.conf')
  const { foreignRoot, serverChain, serverKey } = house.files
  await writeFile(
    conf,
    `daemon off; worker_processes 1; worker_rlimit_nofile 20000; user ${userName()};
pid ${house.folder}/nginx.pid; error_log stderr crit;
events { worker_connections 15000; }
http {
  access_log off;
  server {
    listen 127.0.0.1:${port} ssl backlog=1024;
    ssl_certificate ${serverChain}; ssl_certificate_key ${serverKey};
    ssl_client_certificate ${foreignRoot}; ssl_verify_client on; ssl_verify_depth 3;
    ssl_protocols TLSv1.3; ssl_ecdh_curve prime256v1;
    ssl_session_tickets on; ssl_session_timeout 1d;
    location / { return 200 "ok"; }
  }
}
`,
  )
  const args = ['-c', conf, '-p', house.folder, '-e', 'stderr']
  const running = await start({ command, args }, () => isOpen(port))
  try {
    await requireAnswer(house, port)
  } catch (error) {
    await running.stop()
    throw error
  }
  return { ...running, port }
}

/** nginx ends the handshake of a client that it does not believe, and says so in its answer only. */
async function requireAnswer({ devices, files }: MadeHouse, port: number): Promise<void> {
  const [device] = devices
  const asked = request({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: await readFile(files.serverCa),
    allowPartialTrustChain: true,
    cert: `${device?.cert}${device?.issuer}`,
    key: device?.key,
  })
  const answer = await new Promise<IncomingMessage>((resolve, reject) =>
    asked.on('response', resolve).on('error', reject).end(),
  )
  answer.resume()
  if (answer.statusCode !== 200) throw new Error(`nginx answered ${answer.statusCode}`)
}

export function nginxVersion(): string {
  const said = spawnSync(placeOf('nginx') ?? 'nginx', ['-V'], { encoding: 'utf8' }).stderr
  const [, nginx, openssl] = /nginx\/(\S+)[^]*?OpenSSL (\S+)/.exec(said) ?? []
  return `nginx ${nginx} (built with OpenSSL ${openssl}), one worker.`
}

export interface BareNode {
  /** What it checks: the whole chain up to the root, or a leaf under the pinned issuing CA. */
  readonly trust: 'root' | 'issuingCa'
  readonly server: 'tls' | 'https'
  readonly nodeFlags?: readonly string[]
}

export async function startBareNode(house: MadeHouse, options: BareNode): Promise<Anchor> {
  const { foreignRoot, ownerCa, serverChain, serverKey } = house.files
  const { trust, server, nodeFlags = [] } = options
  const script = fileURLToPath(new URL('./bareTls.ts', import.meta.url))
  const ca = trust === 'root' ? foreignRoot : ownerCa
  const args = [...nodeFlags, script, serverChain, serverKey, ca, trust, server]
  const running = await start({ command: process.execPath, args }, (out) => out.includes('\n'))
  return { ...running, port: Number(running.output()) }
}

/** A certificate is asked for and its chain checked up to one of `trusted`; nothing is kept on disk. */
export async function startMosquitto(
  house: MadeHouse,
  trusted: string,
): Promise<Anchor | MissingProgram> {
  const command = placeOf('mosquitto')
  if (command === undefined)
    return { missing: 'mosquitto is not on this machine: Debian package mosquitto' }
  const port = await freePort()
  const conf = join(house.folder, 'mosquitto.conf')
  const { serverChain, serverKey } = house.files
  await writeFile(
    conf,
    `user ${userName()}
persistence false
log_type error
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 0
listener ${port} 127.0.0.1
cafile ${trusted}
certfile ${serverChain}
keyfile ${serverKey}
require_certificate true
tls_version tlsv1.3
allow_anonymous true
`,
  )
  const running = await start({ command, args: ['-c', conf] }, () => isOpen(port))
  return { ...running, port }
}

export function mosquittoVersion(): string {
  const said = spawnSync(placeOf('mosquitto') ?? 'mosquitto', ['-h'], { encoding: 'utf8' }).stdout
  return `mosquitto ${/version (\S+)/.exec(said)?.[1]}, one thread, nothing on disk.`
}

function userName(): string {
  return execFileSync('id', ['-un'], { encoding: 'utf8' }).trim()
}
