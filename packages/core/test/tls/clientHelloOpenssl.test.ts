/**
 * OpenSSL reads our hellos and says what it sees: `s_server -trace` of a handshake that it makes us
 * begin twice, and of one that goes on with a ticket and is begun twice too.
 */
import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pem } from '@countersign/core/codec'
import { parseCertificate, type VerifiedPeer } from '@countersign/core/credential'
import { type ResumableSession, type Secured, TlsClient } from '@countersign/core/tls'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { root } from '../judge/world.ts'

const folder = mkdtempSync(join(tmpdir(), 'openssl-hello-'))
after(() => rmSync(folder, { recursive: true }))

/** For `skip`: false when there is an OpenSSL that was built to trace. */
function missing(): string | false {
  const { stdout, stderr, error } = spawnSync('openssl', ['s_server', '-help'], {
    encoding: 'utf8',
  })
  if (error === undefined && (stdout + stderr).includes('-trace')) return false
  if (process.env['PEERS'] === 'required') throw new Error('openssl with -trace is required')
  return 'no openssl that can trace is on this machine'
}

/** `openssl s_server`, and what it has printed so far. */
class Server {
  readonly #child: ChildProcessWithoutNullStreams
  #text = ''

  constructor(...options: readonly string[]) {
    const listen = ['s_server', '-accept', '127.0.0.1:0', '-trace', '-tls1_3']
    const identity = ['-key', join(folder, 'key.pem'), '-cert', join(folder, 'cert.pem')]
    this.#child = spawn('openssl', [...listen, ...identity, ...options])
    this.#child.stdout.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString()
    })
    after(() => this.#child.kill())
  }

  async port(): Promise<number> {
    for (;;) {
      const found = /ACCEPT .*:(\d+)/.exec(this.#text)
      if (found !== null) return Number(found[1])
      const end = once(this.#child, 'exit').then(() => assert.fail('it did not start'))
      await Promise.race([once(this.#child.stdout, 'data'), end])
    }
  }

  /** Each ClientHello as it was printed, in lines without their margins. */
  async hellos(): Promise<readonly string[][]> {
    this.#child.kill()
    await once(this.#child, 'close')
    return this.#text
      .split(/^(?:Received|Sent) Record$/m)
      .filter((record) => /^ +ClientHello, Length/m.test(record))
      .map((record) => record.split('\n').map((line) => line.trim()))
  }
}

async function writeIdentity(): Promise<void> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { certificate } = await root({ signer: softwareSigner(privateKey) })
  writeFileSync(join(folder, 'key.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }))
  writeFileSync(join(folder, 'cert.pem'), pem('CERTIFICATE', certificate.der))
}

/** A handshake, and the ticket that comes behind it. */
async function visit(
  port: number,
  session?: ResumableSession,
): Promise<{ readonly secured: Secured; readonly ticket: ResumableSession }> {
  const socket = connect(port, '127.0.0.1')
  const secured = Promise.withResolvers<Secured>()
  const ticket = Promise.withResolvers<ResumableSession>()
  const client = new TlsClient(
    {
      crypto: nodeCrypto,
      random: randomBytes,
      clock: { now: () => Date.now() },
      // Who the server is does not matter here.
      trust: ({ chain: [leaf] }) =>
        ({ leaf: parseCertificate(leaf ?? new Uint8Array()) }) as VerifiedPeer,
      host: 'gate.example',
      policy: { groups: ['x25519', 'secp256r1'], shares: ['x25519'], alpn: ['mqtt'] },
      session,
    },
    {
      send: (bytes) => socket.write(bytes),
      secured: secured.resolve,
      data: () => assert.fail('it says nothing'),
      resumable: ticket.resolve,
      ended: () => {},
      failed: (error) => {
        secured.reject(error)
        ticket.reject(error)
      },
    },
  )
  socket.on('data', (bytes: Buffer) => client.receive(bytes))
  socket.on('connect', () => client.start())
  const both = await Promise.all([secured.promise, ticket.promise])
  client.end()
  socket.end()
  // It has read our farewell: whoever kills it now resets nothing.
  await once(socket, 'close')
  return { secured: both[0], ticket: both[1] }
}

const extensionLine = /^extension_type=.*\((\d+)\), length=(\d+)$/

/** Numbers and lengths of the extensions, as OpenSSL found them. */
function extensionsIn(lines: readonly string[]): number[][] {
  return lines.flatMap((line) => {
    const found = extensionLine.exec(line)
    return found === null ? [] : [[Number(found[1]), Number(found[2])]]
  })
}

/** The lines below the one of an extension, up to the next. */
function linesOf(lines: readonly string[], extension: number): readonly string[] {
  const start = lines.findIndex((line) => extensionLine.exec(line)?.[1] === String(extension))
  assert.ok(start > 0, `extension ${extension}`)
  const below = lines.slice(start + 1)
  return below.slice(
    0,
    below.findIndex((line) => line === '' || extensionLine.test(line)),
  )
}

const lineOf = (lines: readonly string[], start: string): string =>
  lines.find((line) => line.startsWith(start)) ?? assert.fail(start)

/** What stands in each of them. */
function requireCommon(lines: readonly string[], version: string): void {
  assert.equal(lineOf(lines, 'Version ='), `Version = ${version}`)
  assert.equal(lineOf(lines, 'client_version'), 'client_version=0x303 (TLS 1.2)')
  const suites = lines.filter((line) => line.startsWith('{0x'))
  assert.deepEqual(suites, [
    '{0x13, 0x01} TLS_AES_128_GCM_SHA256',
    '{0x13, 0x02} TLS_AES_256_GCM_SHA384',
    '{0x13, 0x03} TLS_CHACHA20_POLY1305_SHA256',
  ])
  assert.ok(lines.includes('No Compression (0x00)'))
  assert.deepEqual(linesOf(lines, 43), ['TLS 1.3 (772)'])
  assert.deepEqual(linesOf(lines, 10), ['ecdh_x25519 (29)', 'secp256r1 (P-256) (23)'])
  assert.deepEqual(linesOf(lines, 13), [
    'ecdsa_secp256r1_sha256 (0x0403)',
    'ed25519 (0x0807)',
    'ecdsa_secp384r1_sha384 (0x0503)',
    'ecdsa_secp521r1_sha512 (0x0603)',
    'rsa_pss_rsae_sha256 (0x0804)',
    'rsa_pss_rsae_sha384 (0x0805)',
    'rsa_pss_rsae_sha512 (0x0806)',
    'rsa_pkcs1_sha256 (0x0401)',
    'rsa_pkcs1_sha384 (0x0501)',
    'rsa_pkcs1_sha512 (0x0601)',
  ])
  assert.deepEqual(linesOf(lines, 16), ['mqtt'])
  assert.deepEqual(linesOf(lines, 45), ['psk_dhe_ke (1)'])
}

test('OpenSSL finds in our hellos what they should say', { skip: missing() }, async () => {
  await writeIdentity()
  // It wants the group that the first hello has no share of.
  const server = new Server('-groups', 'P-256', '-alpn', 'mqtt')
  const first = await visit(await server.port())
  const again = await visit(await server.port(), first.ticket)
  assert.deepEqual([first.secured.isResumed, again.secured.isResumed], [false, true])
  assert.deepEqual([first.secured.group, again.secured.alpn], ['secp256r1', 'mqtt'])

  const hellos = await server.hellos()
  assert.equal(hellos.length, 4)
  const ticket = 2 + 2 + first.ticket.ticket.length + 4
  for (const [index, lines] of hellos.entries()) {
    const isSecond = index % 2 === 1
    const isResuming = index >= 2
    requireCommon(lines, isSecond ? 'TLS 1.2 (0x303)' : 'TLS 1.0 (0x301)')
    assert.deepEqual(extensionsIn(lines), [
      [43, 3],
      [10, 6],
      [13, 22],
      [51, isSecond ? 71 : 38],
      [28, 2],
      [0, 17],
      [16, 7],
      [5, 5],
      [45, 2],
      // One identity with its age, one binder as long as the hash.
      ...(isResuming
        ? [[41, ticket + 2 + 1 + (first.secured.suite.endsWith('384') ? 48 : 32)]]
        : []),
    ])
    const [group, share] = linesOf(lines, 51)
    assert.equal(group, `NamedGroup: ${isSecond ? 'secp256r1 (P-256) (23)' : 'ecdh_x25519 (29)'}`)
    assert.match(share ?? '', isSecond ? /len=65\): 04/ : /len=32\): /)
    if (isSecond) {
      for (const start of ['gmt_unix_time', 'random_bytes', 'session_id (len=32)']) {
        assert.equal(lineOf(lines, start), lineOf(hellos[index - 1] ?? [], start))
      }
    }
  }
})
