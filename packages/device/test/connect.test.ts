import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { createServer, type TlsOptions } from 'node:tls'
import type { SecureElement } from '@countersign/element/ports'
import { openConnection, type ServerConnection } from '../src/connect.ts'
import { systemWorld, type TlsName, tlsNames, type World } from '../src/index.ts'
import { parseTarget } from '../src/target.ts'

/** Servers whose certificates a foreign program made; what a device sends them is written down. */
const folder = mkdtempSync(join(tmpdir(), 'countersign-connect-'))
after(() => rmSync(folder, { recursive: true }))
const skip = opensslMissing()

interface Credential {
  readonly cert: string
  readonly key: string
}
interface House {
  readonly ca: string
  /** SHA-256 of the CA's public key. */
  readonly anchor: string
  issue(lines: readonly string[]): Credential
}

const serverAuth = 'extendedKeyUsage=serverAuth'
const localhost = 'subjectAltName=DNS:localhost'
const houses = new Map<string, House>()

interface WrongServer {
  readonly what: string
  readonly code: string
  readonly lines?: readonly string[]
  readonly chain?: 'leaf alone' | 'other house' | 'other house with our CA beside'
  readonly host?: string
  readonly now?: number
}

const day = 86_400_000
const wrongServers: readonly WrongServer[] = [
  { what: 'that sends its leaf alone', code: 'ERR_ANCHOR_MISMATCH', chain: 'leaf alone' },
  { what: 'of another house', code: 'ERR_ANCHOR_MISMATCH', chain: 'other house' },
  {
    what: 'of another house that shows our CA beside its own',
    code: 'ERR_CHAIN_UNKNOWN_ISSUER',
    chain: 'other house with our CA beside',
  },
  {
    what: 'of another name',
    code: 'ERR_CHAIN_NAME',
    lines: [serverAuth, 'subjectAltName=DNS:elsewhere.example'],
  },
  { what: 'asked by an address that it does not have', code: 'ERR_CHAIN_NAME', host: '127.0.0.1' },
  { what: 'without extended key usage', code: 'ERR_CHAIN_PURPOSE', lines: [localhost] },
  {
    what: 'that is a client',
    code: 'ERR_CHAIN_PURPOSE',
    lines: ['extendedKeyUsage=clientAuth', localhost],
  },
  { what: 'expired by our clock', code: 'ERR_CERT_EXPIRED', now: Date.now() + 60 * day },
  { what: 'not yet valid by our clock', code: 'ERR_CERT_NOT_YET_VALID', now: Date.now() - 2 * day },
]

for (const tls of tlsNames) {
  suite(`with TLS that is ${tls}`, () => roadTests(tls))
}

function roadTests(tls: TlsName): void {
  const open = (
    port: number,
    anchor: string,
    options: Omit<Opening, 'port' | 'anchor' | 'tls'> = {},
  ): ServerConnection => openAs({ port, anchor, tls, ...options })

  test('the server of the anchor is spoken to and hears the question as it was asked', {
    skip,
  }, async () => {
    const home = house('home')
    const leaf = home.issue([serverAuth, `${localhost},IP:127.0.0.1`])
    const server = await serve({ ...leaf, cert: leaf.cert + home.ca })
    for (const host of ['localhost', '127.0.0.1']) {
      const connection = open(server.port, home.anchor, { host })
      const answer = await connection.ask({ method: 'POST', path: '/x', body: Buffer.from('body') })
      connection.close()
      assert.equal(answer.status, 200)
      assert.equal(Buffer.from(answer.body).toString(), 'hi')
      assert.ok(server.heard().startsWith('POST /x HTTP/1.1\r\n'))
      assert.ok(server.heard().includes(`\r\nhost: ${host}:${server.port}\r\n`))
      assert.ok(server.heard().endsWith('\r\n\r\nbody'))
      server.forget()
    }
  })

  test('one connection carries many questions', { skip }, async () => {
    const home = house('home')
    const leaf = home.issue([serverAuth, localhost])
    const server = await serve({ ...leaf, cert: leaf.cert + home.ca })
    const connection = open(server.port, home.anchor)
    for (let count = 0; count < 3; count++) await connection.ask({ method: 'GET', path: '/' })
    connection.close()
    assert.equal(server.connections(), 1)
  })

  for (const wrong of wrongServers) {
    test(`a server ${wrong.what} is told nothing`, { skip }, async () => {
      const home = house('home')
      const server = await serve(credentialOf(wrong, home))
      const { now } = wrong
      const connection = open(server.port, home.anchor, {
        ...(wrong.host === undefined ? {} : { host: wrong.host }),
        ...(now === undefined ? {} : { clock: { now: () => now } }),
      })
      await assert.rejects(
        connection.ask({ method: 'POST', path: '/secret', body: Buffer.from('token') }),
        (error: Error & { code?: string; hint?: string }) => {
          assert.equal(error.code, wrong.code, error.message)
          if (now !== undefined) assert.match(error.hint ?? '', /clock/)
          return true
        },
      )
      connection.close()
      await server.quiet()
      assert.equal(server.connections(), 1)
      assert.equal(server.heard(), '')
    })
  }

  test('TLS 1.2 is not spoken', { skip }, async () => {
    const home = house('home')
    const leaf = home.issue([serverAuth, localhost])
    const server = await serve({ ...leaf, cert: leaf.cert + home.ca, maxVersion: 'TLSv1.2' })
    const connection = open(server.port, home.anchor)
    await assert.rejects(connection.ask({ method: 'GET', path: '/' }), {
      code: 'ERR_SERVER_UNREACHABLE',
    })
    assert.equal(server.heard(), '')
  })

  test('a port where nobody listens, and one where nobody answers, end in an error', async () => {
    const silent = createTcpServer(() => undefined)
    const port = await listening(silent)
    const waiting = open(port, 'ab'.repeat(32))
    const answer = waiting.ask({ method: 'GET', path: '/' })
    const [socket] = await once(silent, 'connection')
    waiting.close()
    await assert.rejects(answer, { code: 'ERR_SERVER_UNREACHABLE' })
    socket.destroy()
    silent.close()
    await once(silent, 'close')
    const gone = open(port, 'ab'.repeat(32))
    await assert.rejects(gone.ask({ method: 'GET', path: '/' }), {
      code: 'ERR_SERVER_UNREACHABLE',
      details: { reason: 'ECONNREFUSED' },
    })
  })

  test('an answer without end is cut off', { skip }, async () => {
    const home = house('home')
    const leaf = home.issue([serverAuth, localhost])
    const head = `HTTP/1.1 200 OK\r\ncontent-length: ${2 ** 30}\r\n\r\n`
    const server = await serve({ ...leaf, cert: leaf.cert + home.ca }, head + 'x'.repeat(2 ** 20))
    const connection = open(server.port, home.anchor)
    await assert.rejects(connection.ask({ method: 'GET', path: '/' }), {
      code: 'ERR_SERVER_UNREACHABLE',
    })
    connection.close()
  })
}

test('an element that does not answer in time is named, not the network', { skip }, async () => {
  const home = house('home')
  const leaf = home.issue([serverAuth, localhost])
  const server = await serve({ ...leaf, cert: leaf.cert + home.ca, requestCert: true })
  const device = home.issue(['extendedKeyUsage=clientAuth'])
  const spki = new X509Certificate(device.cert).publicKey.export({ type: 'spki', format: 'der' })
  let over: (() => void) | undefined
  const element = {
    publicKey: async () => spki.subarray(-64),
    sign: () => {
      over?.()
      return new Promise(() => undefined)
    },
  } as unknown as SecureElement
  const connection = openConnection({
    world: {
      ...systemWorld(),
      limit: (milliseconds) =>
        milliseconds === 10_000 ? new Promise((resolve) => (over = resolve)) : Promise.resolve(),
    },
    target: parseTarget(`https://localhost:${server.port}`, home.anchor),
    credential: { element, slot: 0, certificates: device.cert },
  })
  await assert.rejects(connection.ask({ method: 'GET', path: '/' }), {
    code: 'ERR_TLS_SIGNER',
    message: 'the element did not sign the handshake within 10 seconds',
  })
  connection.close()
})

function credentialOf({ lines, chain }: WrongServer, home: House): TlsOptions {
  const other = house('other')
  const { cert, key } = (chain?.startsWith('other house') === true ? other : home).issue(
    lines ?? [serverAuth, localhost],
  )
  const behind = new Map([
    ['leaf alone', ''],
    ['other house', other.ca],
    ['other house with our CA beside', other.ca + home.ca],
  ])
  return { cert: cert + (behind.get(chain ?? '') ?? home.ca), key }
}

interface Opening {
  readonly port: number
  readonly anchor: string
  readonly tls: TlsName
  readonly host?: string
  readonly clock?: World['clock']
}

function openAs({ port, anchor, tls, host = 'localhost', clock }: Opening): ServerConnection {
  const world = systemWorld(tls)
  return openConnection({
    world: clock === undefined ? world : { ...world, clock },
    target: parseTarget(`https://${host}:${port}`, anchor),
    credential: undefined,
  })
}

interface TestServer {
  readonly port: number
  connections(): number
  heard(): string
  forget(): void
  /** Resolves when every connection has ended. */
  quiet(): Promise<void>
}

const hi = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'

async function serve(options: TlsOptions, response = hi): Promise<TestServer> {
  const heard: string[] = []
  const ends: Promise<unknown>[] = []
  const server = createServer(options, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (data) => {
      heard.push(data.toString('latin1'))
      // A whole question, by its header or by the body of these tests.
      if (/\r\n\r\n(body)?$/.test(heard.join(''))) socket.write(response)
    })
  })
  // The bare connection: a device that turns away at the certificate never finishes the handshake.
  server.on('connection', (socket: Socket) => void ends.push(once(socket, 'close')))
  server.on('tlsClientError', () => undefined)
  const port = await listening(server)
  after(() => server.close())
  return {
    port,
    connections: () => ends.length,
    heard: () => heard.join(''),
    forget: () => void heard.splice(0),
    quiet: async () => {
      await Promise.all(ends)
    },
  }
}

async function listening(server: Server): Promise<number> {
  // Both families, as "localhost" may be either.
  server.listen(0)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function house(name: string): House {
  const known = houses.get(name)
  if (known !== undefined) return known
  const path = (file: string): string => join(folder, `${name}.${file}`)
  const caProfile = 'keyUsage=critical,keyCertSign,cRLSign'
  for (const each of ['root', 'ca']) {
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', path(`${each}.key`))
  }
  const root = ['req', '-x509', '-new', '-key', path('root.key'), '-subj', `/CN=${name} root`]
  openssl(...root, '-days', '90', '-addext', caProfile, '-out', path('root.pem'))
  const ca = ['req', '-x509', '-new', '-key', path('ca.key'), '-subj', `/CN=${name}`]
  const issuer = ['-CA', path('root.pem'), '-CAkey', path('root.key'), '-days', '90']
  openssl(...ca, ...issuer, '-addext', caProfile, '-out', path('ca.pem'))
  const pem = readFileSync(path('ca.pem'), 'utf8')
  const spki = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })
  let leaves = 0
  const made: House = {
    ca: pem,
    anchor: createHash('sha256').update(spki).digest('hex'),
    issue(lines) {
      const leaf = (file: string): string => path(`${leaves}.${file}`)
      leaves++
      openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', leaf('key'))
      openssl('req', '-new', '-key', leaf('key'), '-subj', '/CN=leaf', '-out', leaf('csr'))
      const profile = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature']
      writeFileSync(leaf('ext'), [...profile, 'authorityKeyIdentifier=keyid', ...lines].join('\n'))
      const sign = [
        'x509',
        '-req',
        '-in',
        leaf('csr'),
        '-CA',
        path('ca.pem'),
        '-CAkey',
        path('ca.key'),
      ]
      openssl(
        ...sign,
        '-days',
        '30',
        '-sha256',
        '-CAcreateserial',
        '-extfile',
        leaf('ext'),
        '-out',
        leaf('pem'),
      )
      return { cert: readFileSync(leaf('pem'), 'utf8'), key: readFileSync(leaf('key'), 'utf8') }
    },
  }
  houses.set(name, made)
  return made
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' })
}

function opensslMissing(): string | false {
  try {
    openssl('version')
    return false
  } catch (error) {
    if (process.env['PEERS'] === 'required') throw error
    return 'there is no openssl command on this machine'
  }
}
