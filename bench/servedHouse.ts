/**
 * A house as an operator has one: made by `createFolder`, its devices enrolled over EST by its own
 * authority, served by the real command as a process of its own. The certificates of its devices
 * and of its server serve the anchors too, so that every server does its cryptography with the
 * same ones.
 */
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  attributeOid,
  createCertificateRequest,
  parseCertsOnly,
} from '@countersign/core/credential'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { createFolder, type Keys, openHouse, type Services } from '@countersign/server'
import type { ShownDevice } from './load.ts'
import { certifyAgain, makeRoot } from './pki.ts'
import { type Running, start } from './processes.ts'

const command = fileURLToPath(
  new URL('../packages/countersign/bin/countersign.js', import.meta.url),
)
const enrolmentsAtOnce = 128

export interface MadeHouse {
  readonly folder: string
  /** The data folder. */
  readonly dir: string
  /** PEM files below `folder`, for whoever is configured by files. */
  readonly files: {
    /** What our own front end pins. */
    readonly ownerCa: string
    /** Where the chains of devices end for foreign servers: see pki.ts. */
    readonly foreignRoot: string
    /** What clients pin. */
    readonly serverCa: string
    /** Leaf, then issuing CA. */
    readonly serverChain: string
    readonly serverKey: string
    /** `ShownDevice[]` as JSON: what load clients read. */
    readonly devices: string
  }
  readonly devices: readonly ShownDevice[]
  remove(): Promise<void>
}

export async function makeHouse(deviceCount: number): Promise<MadeHouse> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-house-'))
  const dir = join(folder, 'data')
  await createFolder(dir, { hosts: [], demo: false })
  const passphrase = await readFile(join(dir, 'dev-passphrase'), 'utf8')
  const house = await openHouse(dir, { passphrase: passphrase.trimEnd() })
  try {
    const { authority } = await house.keys()
    const ca = (name: string): string => pemOf(caOf(authority, name))
    const { chainPem, keyPem } = await authority.serverCredential()
    const keep = async (name: string, text: string | Buffer): Promise<string> => {
      await writeFile(join(folder, name), text, { mode: 0o600 })
      return join(folder, name)
    }
    const ownerCa = await keep('owner-ca.pem', ca('owner'))
    makeRoot(folder, 'root')
    const issuer = certifyAgain(folder, ownerCa, 'root')
    const devices = await enrolAll(house, authority, deviceCount, issuer)
    const files = {
      ownerCa,
      foreignRoot: join(folder, 'root.pem'),
      serverCa: await keep('server-ca.pem', ca('server')),
      serverChain: await keep('server.pem', chainPem),
      serverKey: await keep('server.key', keyPem),
      devices: await keep('devices.json', JSON.stringify(devices)),
    }
    const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
    return { folder, dir, files, devices, remove }
  } finally {
    await house.close()
  }
}

export interface ServedHouse extends Running {
  readonly httpsPort: number
  readonly mqttsPort: number
  readonly coapPort: number
}

/** `countersign serve`. Node's own flags (`--cpu-prof`, `--inspect=0`) may be given. */
export async function serveHouse(
  dir: string,
  nodeFlags: readonly string[] = [],
): Promise<ServedHouse> {
  const doors = ['console', 'https', 'mqtts', 'coap'].flatMap((door) => [
    '--listen',
    `${door}=127.0.0.1:0`,
  ])
  const args = [...nodeFlags, command, 'serve', '--dir', dir, '--log-level', 'error', ...doors]
  const running = await start({ command: process.execPath, args }, (stdout) =>
    stdout.includes('"ready"'),
  )
  const https = /"https":"https:\/\/localhost:(\d+)"/.exec(running.output())?.[1]
  const mqtts = /"mqtts":"mqtts:\/\/localhost:(\d+)"/.exec(running.output())?.[1]
  const coap = /"coap":"coap:\/\/[^"]*:(\d+)"/.exec(running.output())?.[1]
  const ports = { httpsPort: Number(https), mqttsPort: Number(mqtts), coapPort: Number(coap) }
  return { ...running, ...ports }
}

type Authority = Keys['authority']

async function enrolAll(
  { registry, clock }: Services,
  authority: Authority,
  count: number,
  issuer: string,
): Promise<readonly ShownDevice[]> {
  const far = clock.now() + 86_400_000
  const { token } = await registry.invite({ product: 'default', count, expiresAt: far })
  const authorization = `Basic ${Buffer.from(`token:${token}`).toString('base64')}`
  const devices: ShownDevice[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      const serial = `BENCH-${++next}`
      devices.push({ serial, issuer, ...(await enrol(authority, authorization, serial)) })
    }
  }
  await Promise.all(Array.from({ length: enrolmentsAtOnce }, worker))
  return devices
}

async function enrol(
  authority: Authority,
  authorization: string,
  serial: string,
): Promise<Pick<ShownDevice, 'cert' | 'key'>> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const request = await createCertificateRequest({
    subject: [{ type: attributeOid.serialNumber, value: serial }],
    altNames: [],
    signer: softwareSigner(privateKey),
  })
  const answer = await authority.est({
    method: 'POST',
    operation: 'simpleenroll',
    contentType: 'application/pkcs10',
    body: Buffer.from(Buffer.from(request).toString('base64')),
    authorization,
    peer: undefined,
    peerAddress: '192.0.2.1',
  })
  if (answer.status !== 200) throw new Error(String(answer.body))
  const [leaf = new Uint8Array(0)] = parseCertsOnly(Buffer.from(String(answer.body), 'base64'))
  return {
    cert: pemOf(leaf),
    key: String(privateKey.export({ format: 'pem', type: 'pkcs8' })),
  }
}

function caOf(authority: Authority, name: string): Uint8Array {
  const row = authority.cas().find((one) => one.name === name)
  if (row === undefined) throw new Error(`no CA ${name}`)
  return row.der
}

function pemOf(der: Uint8Array): string {
  return new X509Certificate(der).toString()
}
