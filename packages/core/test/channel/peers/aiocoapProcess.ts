/** aiocoap as a program on this machine, and the UDP socket beside it. */
import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { on, once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { hex } from '@countersign/core/codec'
import { peersPython } from '../../peers/python.ts'
import { asked } from './aiocoapScenes.ts'
import { type Datagrams, type Known, OwnServer } from './ownEnds.ts'

export interface Recorded {
  readonly name: string
  /** Of us and of aiocoap, in the order of the wire; hex. */
  readonly datagrams: readonly { readonly from: 'us' | 'aiocoap'; readonly bytes: string }[]
}

type Log = Recorded['datagrams'][number][]

interface Answer {
  readonly version: string
  readonly port?: number
  readonly code?: number
  readonly payload?: string
}

/** Of the last program that was started. */
export let aiocoapVersion = ''

/** `use` talks to an aiocoap server. */
export async function withServer(
  known: Known,
  log: Log,
  use: (wire: Datagrams) => Promise<void>,
): Promise<void> {
  const { child, nextLine } = started({ role: 'server', ...named(known) })
  const socket = createSocket('udp4')
  try {
    const { port } = await nextLine()
    assert.ok(port)
    await bound(socket)
    const inbox = on(socket, 'message')
    await use({
      send(datagram) {
        log.push({ from: 'us', bytes: hex(datagram) })
        socket.send(datagram, port, '127.0.0.1')
      },
      async next() {
        const [datagram] = (await inbox.next()).value as [Uint8Array]
        log.push({ from: 'aiocoap', bytes: hex(datagram) })
        return datagram
      },
    })
  } finally {
    socket.close()
    child.stdin.end()
    child.kill()
  }
}

/** An aiocoap client asks our server all of `asked`; gives what it was answered. */
export async function withClient(
  known: Known,
  log: Log,
  useCombined: boolean,
): Promise<{ readonly answers: readonly string[]; readonly heard: readonly string[] }> {
  const socket = createSocket('udp4')
  const server = new OwnServer(known)
  const broken = Promise.withResolvers<never>()
  socket.on('message', (datagram, { port, address }) => {
    log.push({ from: 'aiocoap', bytes: hex(datagram) })
    server
      .answer(datagram)
      .then((answer) => {
        log.push({ from: 'us', bytes: hex(answer) })
        socket.send(answer, port, address)
      })
      .catch((error: unknown) => broken.reject(error))
  })
  await bound(socket)
  const { port } = socket.address()
  const options = { role: 'client', port, combined: useCombined, requests: asked }
  const { child, nextLine } = started({ ...options, ...named(known) })
  try {
    const answers: string[] = []
    for (const _ of asked) {
      const { code, payload } = await Promise.race([nextLine(), broken.promise])
      answers.push(`${code} ${payload}`)
    }
    return { answers, heard: server.heard }
  } finally {
    socket.close()
    child.kill()
  }
}

function named({ ours, theirs, keys }: Known): Readonly<Record<string, string>> {
  const cred = hex(theirs.own.credential)
  return { key: keys('theirs'), cred, peer: hex(ours.own.credential) }
}

interface Started {
  readonly child: ChildProcessWithoutNullStreams
  readonly nextLine: () => Promise<Answer>
}

function started(options: Readonly<Record<string, unknown>>): Started {
  const script = fileURLToPath(new URL('aiocoapPeer.py', import.meta.url))
  const child = spawn(peersPython, [script, JSON.stringify(options)], { stdio: 'pipe' })
  // It writes down there what it refuses; of interest when it ends.
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return { child, nextLine: () => lineOf(lines, () => errors) }
}

async function lineOf(lines: AsyncIterator<string>, errors: () => string): Promise<Answer> {
  const { value, done } = await lines.next()
  assert.ok(done !== true, `aiocoap ended: ${errors()}`)
  const answer = JSON.parse(value) as Answer
  aiocoapVersion = answer.version
  return answer
}

async function bound(socket: ReturnType<typeof createSocket>): Promise<void> {
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
}
