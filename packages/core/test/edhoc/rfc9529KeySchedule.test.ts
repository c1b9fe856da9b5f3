/**
 * The key schedule gives every value that RFC 9529 prints of it: each trace is run once with a
 * provider that keeps account, and what the trace prints is found among its results and calls.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cbor, concat, hex } from '@countersign/core/codec'
import { encStructure, noBytes, sigStructure } from '@countersign/core/cose'
import {
  context2,
  context3,
  type MacFields,
  type MessageKey,
  type Method,
  macLength,
  methods,
  nextTranscriptHash,
  oscoreSecrets,
  Prk2e,
  type Prk3e2m,
  type Prk4e3m,
  type PrkOut,
  peerShare,
  shareOnWire,
  suitesOf,
  th2,
  type UsableSuite,
} from '@countersign/core/edhoc'
import type { ChannelCrypto, SecretKey } from '@countersign/core/ports'
import { type Provider, providers } from '../providers.ts'
import { keyOf, printed, type Trace, traces } from './rfc9529.ts'

const item = 'CBOR Data Item'
const raw = 'Raw Value'
const sequence = 'CBOR Sequence'

/** The trace prints both names, and the first came out of the second: by a hash or by HKDF. */
const derivations: readonly (readonly [output: string, input: string])[] = [
  ['H', 'message_1'],
  ['TH_2', 'Input to calculate TH_2'],
  ['PRK_2e', 'G_XY'],
  ['KEYSTREAM_2', 'info for KEYSTREAM_2'],
  ['MAC_2', 'info for MAC_2'],
  ['TH_3', 'Input to calculate TH_3'],
  ['MAC_3', 'info for MAC_3'],
  ['K_3', 'info for K_3'],
  ['IV_3', 'info for IV_3'],
  ['TH_4', 'Input to calculate TH_4'],
  ['K_4', 'info for K_4'],
  ['IV_4', 'info for IV_4'],
  ['PRK_out', 'info for PRK_out'],
  ['PRK_exporter', 'info for PRK_exporter'],
  ['OSCORE Master Secret', 'info for OSCORE Master Secret'],
  ['OSCORE Master Salt', 'info for OSCORE Master Salt'],
  ['PRK_out after KeyUpdate', 'info for KeyUpdate'],
  ['PRK_exporter after KeyUpdate', 'info for PRK_exporter'],
]
const derivationsOfStaticKeys: typeof derivations = [
  ['SALT_3e2m', 'info for SALT_3e2m'],
  ['PRK_3e2m', 'G_RX'],
  ['SALT_4e3m', 'info for SALT_4e3m'],
  ['PRK_4e3m', 'G_IY'],
]

for (const provider of providers) for (const trace of traces) follows(provider, trace)

function follows(provider: Provider, trace: Trace): void {
  const method = methods.get(trace.method)
  assert.ok(method)
  const isStatic = method.responder === 'static key'

  test(`${trace.id}, ${provider.name}: every value of the schedule is the printed one`, () => {
    const account = accounting(provider)
    for (const [name, kind, value] of walk(trace, method, account)) {
      assert.equal(hex(value), hex(printed(trace, name, kind)), name)
    }
  })

  test(`${trace.id}, ${provider.name}: every value comes out of the printed input`, () => {
    const account = accounting(provider)
    walk(trace, method, account)
    const pairs = isStatic ? [...derivations, ...derivationsOfStaticKeys] : derivations
    for (const [output, input] of pairs) {
      const found = account.inputs.get(hex(printed(trace, output, raw)))
      assert.equal(found, hex(inputOf(trace, input)), `${output} from ${input}`)
    }
    const salted = [['PRK_2e', 'salt'], ...(isStatic ? saltsOfStaticKeys : [])]
    for (const [output = '', salt = ''] of salted) {
      assert.equal(
        account.salts.get(hex(printed(trace, output))),
        hex(printed(trace, salt)),
        output,
      )
    }
    // Who signs adds nothing to the schedule.
    if (isStatic) return
    for (const name of ['PRK_3e2m', 'PRK_4e3m']) {
      assert.equal(hex(printed(trace, name)), hex(printed(trace, 'PRK_2e')))
    }
  })
}

const saltsOfStaticKeys = [
  ['PRK_3e2m', 'SALT_3e2m'],
  ['PRK_4e3m', 'SALT_4e3m'],
] as const

/** RFC 9529 prints the context of the key update but not its info: label 11, context, length. */
function inputOf(trace: Trace, name: string): Uint8Array {
  if (name !== 'info for KeyUpdate') return printed(trace, name)
  return concat(Uint8Array.of(0x0b), printed(trace, 'context for KeyUpdate', item), thirtyTwo)
}

const thirtyTwo = Uint8Array.of(0x18, 0x20)

type Value = readonly [name: string, kind: string | undefined, value: Uint8Array]

/** Both ends of the trace, as far as keys go. */
function walk(trace: Trace, method: Method, account: Account): readonly Value[] {
  const { crypto } = account
  const suite = suitesOf(crypto).find(({ number }) => number === trace.suite)
  assert.ok(suite)
  const values: Value[] = []
  const hash2 = agreement(trace, suite, account, values)
  const gXY = keyOf(trace, 'Y', account).agree(peerShare(crypto, suite, printed(trace, 'G_X', raw)))
  const prk2e = Prk2e.from(crypto, suite, hash2, gXY)
  values.push(
    ['CIPHERTEXT_2', undefined, prk2e.cipher(printed(trace, 'PLAINTEXT_2'))],
    ['PLAINTEXT_2', undefined, prk2e.cipher(printed(trace, 'CIPHERTEXT_2'))],
  )

  const prk3e2m =
    method.responder === 'signature' ? prk2e.signed() : withR(trace, suite, account, prk2e)
  const fields2 = fieldsOf(trace, 'R', hash2)
  const context = context2(printed(trace, 'C_R', item), fields2)
  const mac2 = prk3e2m.mac2(context, macLength(suite, method.responder))
  const plaintext2 = printed(trace, 'PLAINTEXT_2')
  const hash3 = nextTranscriptHash(crypto, suite, hash2, plaintext2, fields2.credential)
  values.push(['context_2', sequence, context], ['MAC_2', raw, mac2], ['TH_3', raw, hash3])

  const prk4e3m =
    method.initiator === 'signature'
      ? prk3e2m.signed()
      : withI(trace, suite, account, prk3e2m, hash3)
  const fields3 = fieldsOf(trace, 'I', hash3)
  const mac3 = prk4e3m.mac3(context3(fields3), macLength(suite, method.initiator))
  const plaintext3 = printed(trace, 'PLAINTEXT_3')
  const hash4 = nextTranscriptHash(crypto, suite, hash3, plaintext3, fields3.credential)
  values.push(
    ['context_3', sequence, context3(fields3)],
    ['MAC_3', raw, mac3],
    ['TH_4', raw, hash4],
    ...sealed('3', crypto, suite, prk3e2m.message3(hash3), hash3, plaintext3),
    // Empty in both traces; one of them does not print it.
    ...sealed('4', crypto, suite, prk4e3m.message4(hash4), hash4, noBytes),
    ...afterwards(trace, crypto, suite, prk4e3m.out(hash4)),
  )
  if (method.number === 0) {
    values.push(['Message to be signed 2', undefined, toBeSigned(fields2, mac2)])
    values.push(['Message to be signed 3', undefined, toBeSigned(fields3, mac3)])
  }
  return values
}

/** TH_2, after G_X, G_Y and G_XY. */
function agreement(
  trace: Trace,
  suite: UsableSuite,
  account: Account,
  values: Value[],
): Uint8Array {
  const { crypto } = account
  const [x, y] = [keyOf(trace, 'X', account), keyOf(trace, 'Y', account)]
  const [gX, gY] = [shareOnWire(suite, x.share), shareOnWire(suite, y.share)]
  const hash2 = th2(crypto, suite, gY, printed(trace, 'message_1'))
  values.push(
    ['G_X', raw, gX],
    ['G_Y', raw, gY],
    ['G_XY', raw, crypto.exportSecret(x.agree(peerShare(crypto, suite, gY)))],
    ['G_XY', raw, crypto.exportSecret(y.agree(peerShare(crypto, suite, gX)))],
    ['TH_2', raw, hash2],
  )
  return hash2
}

function withR(trace: Trace, suite: UsableSuite, account: Account, prk2e: Prk2e): Prk3e2m {
  const gX = peerShare(account.crypto, suite, printed(trace, 'G_X', raw))
  return prk2e.withStaticKey(keyOf(trace, 'R', account).agree(gX))
}

function withI(
  trace: Trace,
  suite: UsableSuite,
  account: Account,
  prk3e2m: Prk3e2m,
  transcriptHash: Uint8Array,
): Prk4e3m {
  const gY = peerShare(account.crypto, suite, printed(trace, 'G_Y', raw))
  return prk3e2m.withStaticKey(transcriptHash, keyOf(trace, 'I', account).agree(gY))
}

function fieldsOf(trace: Trace, side: 'I' | 'R', transcriptHash: Uint8Array): MacFields {
  return {
    idCred: printed(trace, `ID_CRED_${side}`),
    transcriptHash,
    credential: printed(trace, `CRED_${side}`, item),
    ead: noBytes,
  }
}

function sealed(
  number: '3' | '4',
  crypto: ChannelCrypto,
  { aead }: UsableSuite,
  { key, iv }: MessageKey,
  transcriptHash: Uint8Array,
  plaintext: Uint8Array,
): readonly Value[] {
  const aad = encStructure({ protectedMap: noBytes, externalAad: transcriptHash })
  return [
    [`K_${number}`, undefined, crypto.exportSecret(key)],
    [`IV_${number}`, undefined, iv],
    [`A_${number}`, undefined, aad],
    [`CIPHERTEXT_${number}`, undefined, crypto.seal(aead.name, key, iv, aad, plaintext)],
  ]
}

function toBeSigned(
  { idCred, transcriptHash, credential }: MacFields,
  payload: Uint8Array,
): Uint8Array {
  const externalAad = concat(cbor.byteString(transcriptHash), credential)
  return sigStructure({ protectedMap: idCred, externalAad, payload })
}

function afterwards(
  trace: Trace,
  crypto: ChannelCrypto,
  suite: UsableSuite,
  prkOut: PrkOut,
): readonly Value[] {
  const first = oscoreSecrets(suite, prkOut)
  const context = printed(trace, 'context for KeyUpdate', raw)
  const second = oscoreSecrets(suite, prkOut.update(context))
  return [
    ['OSCORE Master Secret', undefined, crypto.exportSecret(first.masterSecret)],
    ['OSCORE Master Salt', undefined, crypto.exportSecret(first.masterSalt)],
    ['OSCORE Master Secret after KeyUpdate', undefined, crypto.exportSecret(second.masterSecret)],
    ['OSCORE Master Salt after KeyUpdate', undefined, crypto.exportSecret(second.masterSalt)],
  ]
}

interface Account extends Provider {
  /** What was hashed, extracted or expanded with, by what came out; in hex. */
  readonly inputs: ReadonlyMap<string, string>
  readonly salts: ReadonlyMap<string, string>
}

function accounting(provider: Provider): Account {
  const inputs = new Map<string, string>()
  const salts = new Map<string, string>()
  const face = (key: SecretKey): string => hex(provider.crypto.exportSecret(key))
  const crypto: ChannelCrypto = {
    ...provider.crypto,
    hash(name, data) {
      const output = provider.crypto.hash(name, data)
      inputs.set(hex(output), hex(data))
      return output
    },
    hkdfExtract(hash, salt, input) {
      const output = provider.crypto.hkdfExtract(hash, salt, input)
      salts.set(face(output), face(salt))
      inputs.set(face(output), face(input))
      return output
    },
    hkdfExpand(hash, key, info, length) {
      const output = provider.crypto.hkdfExpand(hash, key, info, length)
      inputs.set(face(output), hex(info))
      return output
    },
  }
  return { ...provider, crypto, inputs, salts }
}
