/**
 * What OSCORE and CoAP cost a server around the cryptography: a request out of its datagram, opened
 * and accepted, its response sealed and written, against what opens and seals as many bytes with
 * node:crypto and does nothing else.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import {
  coapCode,
  contentFormatOption,
  encodeMessage,
  parseMessage,
  sortedOptions,
  uriPath,
  uriQuery,
} from '@countersign/core/coap'
import { fromHex, hex, utf8 } from '@countersign/core/codec'
import {
  deriveContext,
  oscoreOptionOf,
  protectRequest,
  type SecurityContext,
  unprotectRequest,
} from '@countersign/core/oscore'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { type Case, cpuMilliseconds, forAbout, measure, rateOf } from './measure.ts'
import { atLeast, type Report, rateTable } from './report.ts'

/** Of suites 2 and 3 (RFC 9528 §3.6). */
const algorithms = [
  { name: 'suite 2 (tags of 8 bytes)', id: 10, tag: 8 },
  { name: 'suite 3 (tags of 16 bytes)', id: 30, tag: 16 },
] as const
type Algorithm = (typeof algorithms)[number]

/** Requests that are made at a time, and not measured. */
const batch = 2000

/** As long as what OSCORE authenticates beside these messages (RFC 8613 §5.4). */
const additional = Buffer.alloc(25)
const body = utf8('{"celsius":21.5,"at":1764190800}')
const none = new Uint8Array()
/** The Sender ID of each side; that of a device was drawn by its server. */
const ids = { device: fromHex('a1b2c3'), server: Uint8Array.of(7) }

export async function run(): Promise<Report> {
  const cases = algorithms.flatMap((one) => [layers(one), bare(one)])
  const figures = await measure(cases, { rounds: 5, milliseconds: 1000 })
  return {
    tables: [rateTable(figures, 'exchanges')],
    goals: algorithms.flatMap((one) =>
      atLeast(
        `${one.name}, to two bare calls`,
        rateOf(figures, layersOf(one)),
        rateOf(figures, bareOf(one)),
        0.4,
      ),
    ),
    notes: [
      'POST /m/boiler/temperature?n=<number> with 32 bytes of JSON, answered 2.04 under the nonce of the request; replay windows are in memory, nothing is stored.',
    ],
  }
}

function layersOf({ name }: Algorithm): string {
  return `**countersign**, ${name}`
}

function bareOf({ name }: Algorithm): string {
  return `open and seal alone (node:crypto), ${name}`
}

/** A window takes each request once, so they are made anew, outside of what is measured. */
function layers(algorithm: Algorithm): Case {
  const [device, server] = contexts(algorithm)
  const known = new Map([[hex(ids.device), server]])
  let [spent, number] = [0, 0]
  return {
    name: layersOf(algorithm),
    cpuSeconds: () => spent,
    async run(milliseconds) {
      let units = 0
      for (const end = performance.now() + milliseconds; performance.now() < end; units += batch) {
        const requests = Array.from({ length: batch }, () => requestOf(device, number++))
        const datagrams = inOneBuffer(requests)
        const before = cpuMilliseconds()
        for (const datagram of datagrams) answered(known, datagram)
        spent += (cpuMilliseconds() - before) / 1000
      }
      return units
    },
  }
}

function bare(algorithm: Algorithm): Case {
  const { tag: authTagLength } = algorithm
  const [device] = contexts(algorithm)
  const plaintextLength = requestBytes(device) - authTagLength
  const key = createSecretKey(Buffer.alloc(16, 7))
  const nonce = Buffer.alloc(13, 1)
  const [plaintext, response] = [Buffer.alloc(plaintextLength, 2), Buffer.of(coapCode.changed)]
  const seal = (text: Buffer): readonly [Buffer, Buffer] => {
    const cipher = createCipheriv('aes-128-ccm', key, nonce, { authTagLength })
    cipher.setAAD(additional, { plaintextLength: text.length })
    const sealed = cipher.update(text)
    cipher.final()
    return [sealed, cipher.getAuthTag()]
  }
  const open = (sealed: Buffer, tag: Buffer): void => {
    const decipher = createDecipheriv('aes-128-ccm', key, nonce, { authTagLength })
    decipher.setAuthTag(tag)
    decipher.setAAD(additional, { plaintextLength: sealed.length })
    decipher.update(sealed)
    decipher.final()
  }
  const [ciphertext, tag] = seal(plaintext)
  return {
    name: bareOf(algorithm),
    run: async (milliseconds) => {
      const rounds = await forAbout(milliseconds, () => {
        for (let n = 0; n < batch; n++) {
          open(ciphertext, tag)
          Buffer.concat(seal(response))
        }
      })
      return rounds * batch
    },
  }
}

/** As a socket of Node hands them out: parts of a buffer that is larger. */
function inOneBuffer(datagrams: readonly Uint8Array[]): readonly Buffer[] {
  const slab = Buffer.concat(datagrams)
  let end = 0
  return datagrams.map(({ length }) => slab.subarray(end, (end += length)))
}

/** With its tag. */
function requestBytes(device: SecurityContext): number {
  return parseMessage(requestOf(device, 0)).payload.length
}

function requestOf(device: SecurityContext, number: number): Uint8Array {
  const options = [
    ...uriPath('m', 'boiler', 'temperature'),
    contentFormatOption(50),
    ...uriQuery(`n=${number}`),
  ]
  const { message } = protectRequest(device, {
    type: 'CON',
    code: coapCode.post,
    messageId: number & 0xffff,
    token: Uint8Array.of(1, 2, 3, 4),
    options: sortedOptions(options),
    payload: body,
  })
  return encodeMessage(message)
}

/** As a server does it: the context is found by its kid. */
function answered(known: ReadonlyMap<string, SecurityContext>, datagram: Uint8Array): Uint8Array {
  const message = parseMessage(datagram)
  const { kid = none } = oscoreOptionOf(message)
  const context = known.get(hex(kid))
  if (context === undefined) throw new Error('no context of this name')
  const { request, exchange } = unprotectRequest(context, message)
  const response = {
    ...request,
    type: 'ACK',
    code: coapCode.changed,
    options: [],
    payload: none,
  } as const
  return encodeMessage(exchange.protectResponse(response))
}

function contexts({ id }: Algorithm): readonly [SecurityContext, SecurityContext] {
  const of = (senderId: Uint8Array, recipientId: Uint8Array): SecurityContext =>
    deriveContext(nodeCrypto, {
      masterSecret: nodeCrypto.importSecret(new Uint8Array(16).fill(7)),
      senderId,
      recipientId,
      algorithm: id,
    })
  return [of(ids.device, ids.server), of(ids.server, ids.device)]
}
