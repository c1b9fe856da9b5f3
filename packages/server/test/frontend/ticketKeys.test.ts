import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { connect, createServer, type Server } from 'node:tls'
import { randomBytes } from '@countersign/element/nodeCrypto'
import { TicketKeys } from '../../src/frontend/ticketKeys.ts'
import { missing } from '../authority/foreign.ts'
import { hour } from '../authority/house.ts'
import { KeptLog, ManualClock } from '../support/world.ts'
import { DoorHouse, post, type Shown } from './house.ts'

interface Visit {
  readonly resumed: boolean
  readonly tickets: readonly Buffer[]
  readonly answer: string
}

/** One connection, one message, and the tickets that came with it. */
async function visit(house: DoorHouse, who: Shown, session?: Buffer): Promise<Visit> {
  const line = house.connect(who, session === undefined ? {} : { session })
  const tickets: Buffer[] = []
  line.socket.on('session', (ticket: Buffer) => void tickets.push(ticket))
  line.write(post('a', 'x', 'Connection: close\r\n'))
  await line.closed
  return { resumed: line.resumed, tickets, answer: line.text.split('\r\n')[0] ?? '' }
}

describe('a ticket of the https door', () => {
  let house: DoorHouse
  let device: Shown & { readonly row: { readonly id: string } }
  before(async () => {
    house = await DoorHouse.create()
  })
  after(() => house.close())
  beforeEach(async () => {
    device = await house.device()
  })

  async function ticket(): Promise<Buffer> {
    const { tickets, resumed } = await visit(house, device)
    assert.equal(resumed, false)
    return one(tickets)
  }

  it('brings the next one, so that a client which uses each once resumes again and again', async () => {
    let session = await ticket()
    const seen = new Set([session.toString('hex')])
    for (let n = 0; n < 8; n++) {
      const { resumed, tickets, answer } = await visit(house, device, session)
      assert.equal(resumed, true, `resumption ${n}`)
      assert.match(answer, / 202 /)
      session = one(tickets)
      seen.add(session.toString('hex'))
    }
    assert.equal(seen.size, 9)
  })

  it('brings the next one to the client of openssl too', { skip: missing('openssl') }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tickets-'))
    try {
      const client = await OpensslClient.create(folder, house, device)
      assert.match(await client.visit(), /^New, /m)
      const seen = new Set([await client.ticket()])
      for (let n = 0; n < 6; n++) {
        assert.match(await client.visit(), /^Reused, TLSv1\.3/m, `resumption ${n}`)
        seen.add(await client.ticket())
      }
      assert.equal(seen.size, 7)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('of a device that was revoked meanwhile lets nobody in, however it was renewed', async () => {
    const { tickets } = await visit(house, device, await ticket())
    await house.house.registry.revoke(device.row.id, 'keyCompromise')
    const { resumed, answer } = await visit(house, device, one(tickets))
    assert.equal(resumed, true)
    assert.match(answer, / 403 /)
  })

  it('serves over one change of the keys, and not over two', async () => {
    const session = await ticket()
    house.house.clock.time += 12 * hour
    assert.equal((await visit(house, device, session)).resumed, true)
    house.house.clock.time += 12 * hour
    const late = await visit(house, device, session)
    assert.equal(late.resumed, false)
    assert.match(late.answer, / 202 /, 'the handshake went on in full')
  })

  it('is renewed for a week at most: then the key of the device is asked for again', async () => {
    let session = await ticket()
    let resumptions = 0
    for (; resumptions < 20; resumptions++) {
      house.house.clock.time += 12 * hour
      const { resumed, tickets } = await visit(house, device, session)
      if (!resumed) break
      session = one(tickets)
    }
    assert.ok(resumptions < 14, `${resumptions} resumptions in a row, 12 hours apart`)
  })

  it('serves on when the leaf of the server is renewed, or the clock is set back', async () => {
    const session = await ticket()
    const { chainPem, keyPem } = await house.house.authority.serverCredential()
    house.door.setCredential({ chainPem, keyPem })
    const { resumed, tickets } = await visit(house, device, session)
    assert.equal(resumed, true)
    house.house.clock.time -= hour
    assert.equal((await visit(house, device, one(tickets))).resumed, true)
    house.house.clock.time += hour
  })

  it('that was tampered with is none: the handshake goes on in full', async () => {
    const session = await ticket()
    // The ticket stands in the second half of what the client keeps.
    for (let at = session.length >> 1; at < session.length; at += 97) {
      const bent = Buffer.from(session)
      bent[at] = (bent[at] ?? 0) ^ 1
      const { resumed, answer } = await visit(house, device, bent)
      if (!resumed) assert.match(answer, / 202 |^$/)
    }
    assert.equal((await visit(house, device, session)).resumed, true)
  })
})

describe('the ticket keys of a door', () => {
  let servers: Server[] = []
  afterEach(() => {
    for (const server of servers) server.close()
    servers = []
  })

  async function door(credential: Shown, name: string, keys: TicketKeys): Promise<number> {
    const server = createServer({ ...credential, minVersion: 'TLSv1.3', sessionIdContext: name })
    server.on('secureConnection', (socket) => socket.end('seen'))
    keys.install(server)
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }

  it('are no use at another door, even when they are the same', async () => {
    const house = await DoorHouse.create()
    const { chainPem, keyPem } = await house.house.authority.serverCredential()
    await house.close()
    const { ca } = house
    const credential = { cert: chainPem, key: keyPem }
    const keys = keysOf()
    const [https, again, mqtts, other] = [
      await door(credential, 'https', keys),
      await door(credential, 'https', keys),
      await door(credential, 'mqtts', keys),
      await door(credential, 'https', keysOf()),
    ]
    const { session } = await knock(ca, https)
    assert.ok(session)
    assert.equal((await knock(ca, again, session)).resumed, true)
    assert.equal((await knock(ca, mqtts, session)).resumed, false, 'another session id context')
    assert.equal((await knock(ca, other, session)).resumed, false, 'other keys')
  })

  it('stay out of a Node without the hook, which is said once', () => {
    const log = new KeptLog()
    const keys = keysOf(log)
    for (const stranger of [{}, { _sharedCreds: { context: {} } }]) keys.install(stranger as Server)
    assert.equal(log.lines.length, 1)
    assert.match(JSON.stringify(log.lines), /cannot renew TLS tickets/)
  })
})

function keysOf(log: KeptLog = new KeptLog()): TicketKeys {
  return new TicketKeys({ clock: new ManualClock(), random: randomBytes, log })
}

interface Knock {
  readonly resumed: boolean
  readonly session: Buffer | undefined
}

function knock(ca: string, port: number, session?: Buffer): Promise<Knock> {
  return new Promise((resolve, reject) => {
    let [resumed, kept]: [boolean, Buffer | undefined] = [false, undefined]
    const socket = connect({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca,
      ...(session === undefined ? {} : { session }),
    })
    socket.on('session', (ticket) => (kept = ticket))
    socket.on('secureConnect', () => (resumed = socket.isSessionReused()))
    socket.on('error', reject)
    socket.on('close', () => resolve({ resumed, session: kept }))
    socket.resume()
  })
}

/** `openssl s_client`, which writes the newest ticket to a file and begins with it the next time. */
class OpensslClient {
  readonly #args: readonly string[]
  readonly #file: string

  private constructor(args: readonly string[], file: string) {
    this.#args = args
    this.#file = file
  }

  static async create(folder: string, house: DoorHouse, who: Shown): Promise<OpensslClient> {
    const [cert, key, ca] = ['cert.pem', 'key.pem', 'ca.pem'].map((name) => join(folder, name))
    assert.ok(cert !== undefined && key !== undefined && ca !== undefined)
    await writeFile(cert, who.cert)
    await writeFile(key, who.key)
    await writeFile(ca, house.ca)
    const to = ['-connect', `127.0.0.1:${house.port}`, '-servername', 'localhost', '-tls1_3']
    const files = ['-cert', cert, '-key', key, '-CAfile', ca, '-verify_return_error']
    return new OpensslClient(['s_client', '-ign_eof', ...to, ...files], join(folder, 'ticket.pem'))
  }

  async visit(): Promise<string> {
    const known = await readFile(this.#file).catch(() => undefined)
    const session = ['-sess_out', this.#file, ...(known ? ['-sess_in', this.#file] : [])]
    return await new Promise((resolve, reject) => {
      const child = execFile('openssl', [...this.#args, ...session], (error, stdout, stderr) =>
        error === null ? resolve(stdout) : reject(new Error(stderr)),
      )
      child.stdin?.end(post('a', 'x', 'Connection: close\r\n'))
    })
  }

  ticket(): Promise<string> {
    return readFile(this.#file, 'utf8')
  }
}

function one(tickets: readonly Buffer[]): Buffer {
  const newest = tickets.at(-1)
  assert.ok(newest, 'no ticket came')
  return newest
}
