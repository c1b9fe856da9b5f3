/**
 * What a TLS 1.3 handshake asks of an element: calls and milliseconds in it, for each kind, with the
 * times of silicon where the element is an emulated chip; there also the commands on its bus. Latency
 * of the clock, because who waits for a chip waits; the CPU of handshakes is in clientHandshakes.ts.
 * The server is Node's.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createServer } from 'node:tls'
import { attributeOid, createCertificateRequest } from '@countersign/core/credential'
import type { ResumableSession } from '@countersign/core/tls'
import type { SecureElement } from '@countersign/element/ports'
import { elementSigner, knownElementSigner } from '@countersign/element/signer'
import { OwnClient } from '../packages/device/test/tls/peers/ownClient.ts'
import type { ForeignServer } from '../packages/device/test/tls/peers/peer.ts'
import { makePki, type Pki } from '../packages/device/test/tls/peers/pki.ts'
import { skip as noTokens, softTokens } from '../packages/element/test/pkcs11/softhsm.ts'
import { median, sorted } from './measure.ts'
import type { Goal, Report } from './report.ts'
import { type Command, type Seen, type Watched, watchChip, watchElement } from './watchedElement.ts'

const rounds = 20
/** Of handshakes that come to a chip which has had nothing to do for so long. */
const restedRounds = 5
const restMs = 700

interface Kind {
  readonly name: string
  open(folder: string): Promise<Watched>
}

const kinds: readonly Kind[] = [
  { name: 'software twin', open: (folder) => watchElement('sw:', folder) },
  { name: 'ATECC608, I2C', open: (folder) => watchChip('i2c', folder) },
  { name: 'ATECC608, single wire', open: (folder) => watchChip('swi', folder) },
]

export async function run(): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-'))
  const pki = makePki()
  const server = await startServer(pki)
  const tokens: Kind[] =
    noTokens === false
      ? [
          {
            name: 'SoftHSM',
            open: (where) => watchElement(softTokens()('bench').url('device'), where),
          },
        ]
      : []
  try {
    const rows: string[][] = []
    const goals: Goal[] = []
    for (const kind of [...kinds, ...tokens]) {
      const seen = await handshakesOf(kind, { folder, pki, server })
      rows.push(...seen.rows)
      goals.push(...seen.goals)
    }
    return {
      tables: [{ columns, rows }],
      goals,
      notes: [
        `Medians of ${rounds} (${restedRounds} after a rest), counts the most of any. The certificate tells the public key: the element is asked for a signature alone.`,
        'A command counts with the longest time that silicon may take for it, which the emulated chip is busy for. Beside the one Sign there is the Nonce that loads the digest; and after half a second without work the serial number is read first, lest another chip stand there.',
        'What "ms in it" has beyond the commands is the wake (2.5 ms), the looks for an answer every 2 ms, timers that come late, and the bus: on a single wire a byte takes as long as eight.',
        ...(noTokens === false ? [] : [`SoftHSM: ${noTokens}.`]),
      ],
    }
  } finally {
    await server.stop()
    pki.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

const columns = [
  'element',
  'handshake',
  'calls',
  'Sign commands',
  'ms in Sign',
  'other commands',
  'ms in it',
  'ms in all',
]

interface Scene {
  readonly folder: string
  readonly pki: Pki
  readonly server: ForeignServer
}

async function handshakesOf(
  kind: Kind,
  scene: Scene,
): Promise<{ readonly rows: string[][]; readonly goals: readonly Goal[] }> {
  const { name } = kind
  const watched = await kind.open(scene.folder)
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
    const rested: Visit[] = []
    if (full[0]?.commands !== undefined) {
      for (let round = 0; round < restedRounds; round++) {
        await pause(restMs)
        rested.push(await visit(scene, watched, { credential }))
      }
    }
    return {
      rows: [
        row(name, 'full', full),
        ...(rested.length === 0 ? [] : [row(name, 'full, after a rest', rested)]),
        row(name, 'resumed', resumed),
      ],
      goals: goalsOf(name, [...full, ...rested], resumed),
    }
  } finally {
    await watched.element.close()
  }
}

function goalsOf(name: string, full: readonly Visit[], resumed: readonly Visit[]): readonly Goal[] {
  const goals = [
    goal(`calls of the ${name} in a full handshake`, callsOf(full), 1),
    goal(`calls of the ${name} in a resumed one`, callsOf(resumed), 0),
  ]
  if (full[0]?.commands === undefined) return goals
  return [
    ...goals,
    goal(`Sign commands of the ${name} in a full handshake`, countOf(full, isSign), 1),
    { ...goal(`time of the ${name} in Sign`, mostMs(full, isSign), 115), unit: 'ms' },
    goal(`commands of the ${name} in a resumed one`, countOf(resumed, isAny), 0),
  ]
}

interface Visit extends Seen {
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
  const seen = watched.seen()
  await client.ask('echo')
  const session = client.sessions.at(-1)
  await client.close()
  return { ...seen, totalMs, session }
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

function row(name: string, kind: string, visits: readonly Visit[]): string[] {
  const hasCommands = visits[0]?.commands !== undefined
  return [
    name,
    kind,
    String(callsOf(visits)),
    hasCommands ? String(countOf(visits, isSign)) : '',
    hasCommands ? mostMs(visits, isSign).toFixed(0) : '',
    othersOf(visits),
    middle(visits.map(({ milliseconds }) => milliseconds)).toFixed(1),
    middle(visits.map(({ totalMs }) => totalMs)).toFixed(1),
  ]
}

type Which = (command: Command) => boolean

const isSign: Which = ({ name }) => name === 'Sign'
const isAny: Which = () => true

function countOf(visits: readonly Visit[], which: Which): number {
  return Math.max(...visits.map(({ commands = [] }) => commands.filter(which).length))
}

function mostMs(visits: readonly Visit[], which: Which): number {
  return Math.max(...visits.map(({ commands = [] }) => busyOf(commands.filter(which))))
}

function busyOf(commands: readonly Command[]): number {
  return commands.reduce((sum, { busyMs }) => sum + busyMs, 0)
}

/** Of the handshake that had most of them: "Nonce 20 ms". */
function othersOf(visits: readonly Visit[]): string {
  const others = visits
    .map(({ commands = [] }) => commands.filter((command) => !isSign(command)))
    .reduce((one, other) => (busyOf(other) > busyOf(one) ? other : one))
  return others.map(({ name, busyMs }) => `${name} ${busyMs} ms`).join(', ')
}

function callsOf(visits: readonly Visit[]): number {
  return Math.max(...visits.map(({ calls }) => calls))
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
