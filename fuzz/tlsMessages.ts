/**
 * Fuzzes the parsers of a TLS server's handshake messages. `node fuzz/tlsMessages.ts --seconds N
 * --seed S`
 */
import { concat, equalBytes } from '@countersign/core/codec'
import { extension } from '../packages/core/src/tls/extensions.ts'
import { groupNumbers, suites } from '../packages/core/src/tls/registry.ts'
import { parseServerHello } from '../packages/core/src/tls/serverHello.ts'
import {
  parseCertificate,
  parseCertificateRequest,
  parseCertificateVerify,
  parseEncryptedExtensions,
  parseKeyUpdate,
  parseNewSessionTicket,
} from '../packages/core/src/tls/serverMessages.ts'
import { u16, vector } from '../packages/core/src/tls/wire.ts'
import { each, fuzz } from './fuzz.ts'
import {
  checkCertificate,
  checkCertificateRequest,
  checkCertificateVerify,
  checkEncryptedExtensions,
  checkKeyUpdate,
  checkNewSessionTicket,
  checkServerHello,
} from './tlsPromises.ts'
import { hex } from './mqttPackets.ts'
import { bodies } from './tlsTraces.ts'

const asked = new Set([0, 5, 10, 13, 16, 28, 41, 43, 45, 51])
const alpn = ['h2', 'mqtt']
const suite = suites.TLS_AES_128_GCM_SHA256
const groups = ['X25519MLKEM768', 'x25519', 'secp256r1'] as const
const common = { suites: Object.values(suites), groups, asked, retried: undefined }
const hellos = bodies('ServerHello')
/** Of the one trace that has any: 32 bytes behind version, random and their length. */
const sessionId = hellos.find((body) => body[34] === 32)?.slice(35, 67) ?? new Uint8Array()
const offers = [
  { ...common, shares: ['X25519MLKEM768', 'x25519'], sessionId: new Uint8Array() },
  { ...common, shares: ['x25519'], sessionId },
  { ...common, shares: ['secp256r1'], sessionId: new Uint8Array(), retried: suite },
] as const

/** What RFC 8448 has no example of: a ticket taken up in the hybrid group, ALPN, a staple, KeyUpdate. */
const handmade = [
  concat(
    hex(`0303 ${'07'.repeat(32)} 00 1301 00`),
    vector(
      2,
      hex('002b 0002 0304 0029 0002 0000'),
      extension(51, u16(groupNumbers.X25519MLKEM768), vector(2, new Uint8Array(1120).fill(9))),
    ),
  ),
  hex('001d 0000 0000 0010 0007 0005 04 6d717474 001c 0002 0400 000a 0004 0002 001d'),
  hex('00 000013 000005 3003020101 0009 0005 0005 01 000001 00'),
  hex('00'),
  hex('01'),
].map((bytes) => new Uint8Array(bytes))

const corpus = [
  ...hellos,
  ...bodies('EncryptedExtensions'),
  ...bodies('CertificateRequest'),
  ...bodies('Certificate'),
  ...bodies('CertificateVerify'),
  ...bodies('NewSessionTicket'),
  ...handmade,
]

const parsers: readonly ((body: Uint8Array) => void)[] = [
  ...offers.map((offer) => (body: Uint8Array) => {
    checkServerHello(body, parseServerHello(body, offer))
  }),
  (body) => checkEncryptedExtensions(body, parseEncryptedExtensions(body, asked, alpn)),
  (body) => checkCertificateRequest(body, parseCertificateRequest(body)),
  (body) => checkCertificate(body, parseCertificate(body, asked)),
  (body) => checkCertificateVerify(body, parseCertificateVerify(body)),
  (body) => checkNewSessionTicket(body, parseNewSessionTicket(body)),
  (body) => checkKeyUpdate(body, parseKeyUpdate(body)),
]

for (const body of corpus.filter((one) => !answersEarlyData(one))) {
  each(parsers.map((parser) => () => parser(body)))
}

fuzz('tlsMessages', corpus, (input) => each(parsers.map((parser) => () => parser(input))))

/** One trace takes 0-RTT, which this client never offers; the rest must be read as they are. */
function answersEarlyData(body: Uint8Array): boolean {
  return body.length === 40 && equalBytes(body.subarray(36), hex('002a 0000'))
}
