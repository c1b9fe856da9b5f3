/**
 * What a TLS 1.3 handshake asks of an element: calls and milliseconds in it, for each kind, with the
 * times of silicon where the element is an emulated chip. Latency of the clock, because who waits
 * for a chip waits; the CPU of handshakes is in clientHandshakes.ts. The server is Node's.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { attributeOid, createCertificateRequest } from '@countersign/core/credential'
import type { ResumableSession } from '@countersign/core/tls'
import { openElement } from '@countersign/element/compose'
import type { SecureElement } from '@countersign/element/ports'
import { elementSigner, knownElementSigner } from '@countersign/element/signer'
import { OwnClient } from '../packages/device/test/tls/peers/ownClient.ts'
import type { ForeignServer } from '../packages/device/test/tls/peers/peer.ts'
import { makePki, type Pki } from '../packages/device/test/tls/peers/pki.ts'
import { skip as noTokens, softTokens } from '../packages/element/test/pkcs11/softhsm.ts'
import { median, sorted } from './measure.ts'
import type { Goal, Report } from './report.ts'

const rounds = 20

interface Kind {
  readonly name: string
  readonly url: string
}

const kinds: readonly Kind[] = [
  { name: 'software twin', url: 'sw:' },
  { name: 'ATECC608, I2C', url: 'atecc608:emulator:i2c.json?times=real' },
  {
    name: 'ATECC608, single wire',
    url: 'atecc608:emulator:swi.json?framing=swi&times=real',
  },
]

export async function run(): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'))
  const pki = makePki()
  const server = await startServer(pki)
  const tokens =
    noTokens === false ? [{ name: 'SoftHSM', url: softTokens()('bench').url('device') }] : []
  try {
    const rows: string[][] = []
    const goals: Goal[] = []
    for (const kind of [...kinds, ...tokens]) {
      const seen = await handshakesOf(kind, { folder, pki, server })
      rows.push(...seen.rows)
      goals.push(...seen.goals)
    }
    return {
      tables: [{ columns: ['element', 'handshake', 'calls', 'ms in it', 'ms in all'], rows }],
      goals,
      notes: [
        `Medians of ${rounds}. The certificate tells the public key: the element is asked for a signature alone.`,
        'In an ATECC608 that is a Nonce that loads the digest (at most 20 ms) and a Sign (at most 115 ms), with wake and idle; on a single wire a byte takes as long as eight.',
        ...(noTokens === false ? [] : [`SoftHSM: ${noTokens}.`]),
      ],
    }
  } finally {
    await server.stop()
    pki.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Scene {
  readonly folder: string
  readonly pki: Pki
  readonly server: ForeignServer
}

async function handshakesOf(
  { name, url }: Kind,
  scene: Scene,
): Promise<{ readonly rows: string[][]; readonly goals: readonly Goal[] }> {
  const watched = watch(await openElement(url, { folder: scene.folder }))
  try {
    const { slot, leaf, spki } = await certified(name, watched.element, scene.pki)
    const signer = knownElementSigner(watched.element, slot, spki)
    const credential = { chain: [leaf], signer }
    const full: Visit[] = []
    const resumed: Visit[] = []
    for (let round = 0; round < rounds; round++) {
      const first = await visit(scene, watched, { credential })
      full.push(first)
      const { session } = first
      if (session === undefined) throw new Error('the server gave no ticket')
      resumed.push(await visit(scene, watched, { credential, session }))
    }
    return {
      rows: [row(name, 'full', full), row(name, 'resumed', resumed)],
      goals: [
        goal(`calls of the ${name} in a full handshake`, callsOf(full), 1),
        goal(`calls of the ${name} in a resumed one`, callsOf(resumed), 0),
      ],
    }
  } finally {
    await watched.element.close()
  }
}

interface Visit {
  readonly calls: number
  readonly elementMs: number
  readonly totalMs: number
  readonly session: ResumableSession | undefined
}

async function visit(
  { pki, server }: Scene,
  watched: Watched,
  options: Parameters<typeof OwnClient.meet>[2],
): Promise<Visit> {
  watched.reset()
  const began = performance.now()
  const client = await OwnClient.meet(pki, server, options)
  const totalMs = performance.now() - began
  const { calls, milliseconds: elementMs } = watched.seen()
  await client.ask('echo')
  const session = client.sessions.at(-1)
  await client.close()
  return { calls, elementMs, totalMs, session }
}

async function certified(
  name: string,
  element: SecureElement,
  pki: Pki,
): Promise<{ slot: number; leaf: Uint8Array; spki: Uint8Array }> {
  const slot = (await element.slots()).find(({ uses }) => uses.includes('sign'))?.slot ?? -1
  await element.generateKey(slot)
  const signer = await elementSigner(element, slot)
  const subject = [{ type: attributeOid.commonName, value: 'device' }]
  const request = await createCertificateRequest({ subject, altNames: [], signer })
  const file = name.replaceAll(/\W+/g, '-')
  return { slot, leaf: pki.certify(file, request), spki: signer.spki }
}

interface Watched {
  readonly element: SecureElement
  reset(): void
  seen(): { readonly calls: number; readonly milliseconds: number }
}

/** Every call of the port is counted and timed. */
function watch(inner: SecureElement): Watched {
  let [calls, milliseconds] = [0, 0]
  const timed = async <T>(call: () => Promise<T>): Promise<T> => {
    calls++
    const began = performance.now()
    try {
      return await call()
    } finally {
      milliseconds += performance.now() - began
    }
  }
  const element: SecureElement = {
    info: () => timed(() => inner.info()),
    state: () => timed(() => inner.state()),
    slots: () => timed(() => inner.slots()),
    generateKey: (slot) => timed(() => inner.generateKey(slot)),
    publicKey: (slot) => timed(() => inner.publicKey(slot)),
    sign: (slot, digest) => timed(() => inner.sign(slot, digest)),
    random: (length) => timed(() => inner.random(length)),
    close: () => inner.close(),
  }
  return {
    element,
    reset: () => {
      ;[calls, milliseconds] = [0, 0]
    },
    seen: () => ({ calls, milliseconds }),
  }
}

function row(name: string, kind: string, visits: readonly Visit[]): string[] {
  return [
    name,
    kind,
    String(callsOf(visits)),
    msOf(visits).toFixed(1),
    middle(visits.map(({ totalMs }) => totalMs)).toFixed(1),
  ]
}

function callsOf(visits: readonly Visit[]): number {
  return Math.max(...visits.map(({ calls }) => calls))
}

function msOf(visits: readonly Visit[]): number {
  return middle(visits.map(({ elementMs }) => elementMs))
}

function middle(values: readonly number[]): number {
  return median(sorted(values))
}

function goal(what: string, ratio: number, wanted: number): Goal {
  return { what, ratio, wanted, sense: 'at most' }
}

async function startServer(pki: Pki): Promise<ForeignServer> {
  const { chain, key } = pki.server.p256
  const server = createServer(
    {
      cert: readFileSync(chain),
      key: readFileSync(key),
      ca: readFileSync(pki.clientAnchors),
      requestCert: true,
      minVersion: 'TLSv1.3',
    },
    (socket) => void socket.on('error', () => undefined).pipe(socket),
  )
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return {
    name: 'Node',
    host: '127.0.0.1',
    port: address.port,
    output: () => '',
    prints: () => Promise.reject(new Error('it prints nothing')),
    stop: () => new Promise((done) => server.close(() => done())),
  }
}
