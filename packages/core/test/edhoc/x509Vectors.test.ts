/**
 * Every value of vectors/edhoc-x509.json: both sides run on a provider that keeps account, and each
 * value between two messages is found there, made of the values that it is to be made of (RFC 9528
 * §4, §5). The messages themselves: handshake.test.ts.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { hex } from '@countersign/core/codec'
import { Initiator, methods, oscoreSecrets, Responder, type Session } from '@countersign/core/edhoc'
import type { ChannelCrypto, SecretKey } from '@countersign/core/ports'
import { type Provider, providers } from '../providers.ts'
import { certificatesOf, scriptOf } from './parties.ts'

interface Vector {
  readonly id: string
  readonly method: number
  readonly suite: number
  readonly id_cred: 'x5t' | 'x5chain1'
  readonly pki: string
  readonly C_R: string
  readonly message_1: string
  readonly oscore_master_secret: string
  readonly oscore_master_salt: string
  readonly intermediate: Readonly<Record<string, string>>
}

const file = new URL('../../../../vectors/edhoc-x509.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly vectors: readonly Vector[]
}

for (const provider of providers)
  for (const vector of vectors)
    test(`${vector.id}, ${provider.name}: every value is made of the ones it should be`, async () => {
      const used = new Set<string>()
      const recipes = recipesOf(vector, (name) => {
        used.add(name)
        return vector.intermediate[name] ?? assert.fail(`the vector has no ${name}`)
      })
      const accounts = await accountsOf(provider, vector)
      for (const [sides, name, made, value] of recipes)
        for (const side of sides) assert.equal(accounts[side].get(made), value, `${side}: ${name}`)
      assert.deepEqual([...used].toSorted(), Object.keys(vector.intermediate).toSorted())
    })

type Side = 'I' | 'R'
/** Who makes it, its name, what it is made of, and what it is. */
type Recipe = readonly [sides: readonly Side[], name: string, made: string, value: string]
type ValueOf = (name: string) => string

const both: readonly Side[] = ['I', 'R']
const hash = (...input: readonly string[]): string => `hash of ${input.join('')}`
const extract = (salt: string, input: string): string => `extract of ${input} with ${salt}`
const expand = (key: string, ...info: readonly string[]): string =>
  `expand of ${key} with ${info.join('')}`
const signature = (data: string): string => `signature of ${data}`

function recipesOf(vector: Vector, value: ValueOf): readonly Recipe[] {
  const of = (name: string, made: string): Recipe => [both, name, made, value(name)]
  const [th2, th3, th4] = ['TH_2', 'TH_3', 'TH_4'].map((name) => string(value(name)))
  assert.ok(th2 && th3 && th4)
  const [credI, credR] = [credential(vector, 'I'), credential(vector, 'R')]
  const exporter = value('PRK_exporter')
  return [
    of('H_message_1', hash(vector.message_1)),
    of('TH_2', hash(string(value('G_Y')), string(value('H_message_1')))),
    of('TH_3', hash(th2, value('PLAINTEXT_2'), credR)),
    of('TH_4', hash(th3, value('PLAINTEXT_3'), credI)),
    of('PRK_2e', extract(value('TH_2'), value('G_XY'))),
    ...sideRecipes(vector, value, 'R'),
    ...sideRecipes(vector, value, 'I'),
    of('K_3', expand(value('PRK_3e2m'), '03', th3, '10')),
    of('IV_3', expand(value('PRK_3e2m'), '04', th3, '0d')),
    of('K_4', expand(value('PRK_4e3m'), '08', th4, '10')),
    of('IV_4', expand(value('PRK_4e3m'), '09', th4, '0d')),
    of('PRK_out', expand(value('PRK_4e3m'), '07', th4, '1820')),
    of('PRK_exporter', expand(value('PRK_out'), '0a', '40', '1820')),
    [both, 'secret of OSCORE', expand(exporter, '00', '40', '10'), vector.oscore_master_secret],
    [both, 'salt of OSCORE', expand(exporter, '01', '40', '08'), vector.oscore_master_salt],
    [['I'], 'G_X', 'share', value('G_X')],
    [['R'], 'G_Y', 'share', value('G_Y')],
  ]
}

/** What differs by how a side authenticates: its key, its MAC, its proof. */
function sideRecipes(vector: Vector, value: ValueOf, side: Side): readonly Recipe[] {
  const { before, key, salt, saltLabel, agreed, hashed, macLabel, number } = sideNames[side]
  const isSigned =
    methods.get(vector.method)?.[side === 'I' ? 'initiator' : 'responder'] === 'signature'
  const [mac, proof] = [value(`MAC_${number}`), value(`Signature_or_MAC_${number}`)]
  const context = contextOf(vector, value, side)
  const macLength = isSigned ? '1820' : { 2: '08', 3: '10' }[vector.suite]
  const made: Recipe[] = [
    [both, `MAC_${number}`, expand(value(key), macLabel, string(context), macLength ?? ''), mac],
  ]
  if (vector.id_cred === 'x5t') assert.equal(value(`context_${number}`), context)
  if (!isSigned) {
    const saltOf = expand(value(before), saltLabel, string(value(hashed)), '1820')
    made.push([both, salt, saltOf, value(salt)])
    made.push([both, key, extract(value(salt), value(agreed)), value(key)])
    assert.equal(proof, mac)
    return made
  }
  assert.equal(value(key), value(before))
  const idCred = idCredOf(vector, side)
  const external = string(value(hashed)) + credential(vector, side)
  // RFC 9052 §4.4: an array of four, the first of them "Signature1".
  const data = `846a5369676e617475726531${string(idCred)}${string(external)}${string(mac)}`
  if (vector.id_cred === 'x5t') assert.equal(value(`M_${number}`), data)
  // By whoever verifies it.
  return [...made, [[side === 'I' ? 'R' : 'I'], `M_${number}`, signature(data), proof]]
}

const sideNames = {
  R: {
    number: 2,
    before: 'PRK_2e',
    key: 'PRK_3e2m',
    hashed: 'TH_2',
    salt: 'SALT_3e2m',
    saltLabel: '01',
    agreed: 'G_RX',
    macLabel: '02',
  },
  I: {
    number: 3,
    before: 'PRK_3e2m',
    key: 'PRK_4e3m',
    hashed: 'TH_3',
    salt: 'SALT_4e3m',
    saltLabel: '05',
    agreed: 'G_IY',
    macLabel: '06',
  },
} as const

/** context_2 and context_3 (RFC 9528 §5.3.2, §5.4.2); there are no authorization data. */
function contextOf(vector: Vector, value: ValueOf, side: Side): string {
  const { C_R: cR } = vector
  const isInteger = cR.length === 2 && /^([01][0-7]|0[89a-f]|2.|3[0-7])$/.test(cR)
  const first = side === 'I' ? '' : isInteger ? cR : string(cR)
  const hashed = string(value(sideNames[side].hashed))
  return first + idCredOf(vector, side) + hashed + credential(vector, side)
}

function credential({ pki }: Vector, side: Side): string {
  const { cred_i, cred_r } = certificatesOf(pki)
  return string(side === 'I' ? cred_i : cred_r)
}

function idCredOf(vector: Vector, side: Side): string {
  const { cred_i, cred_r } = certificatesOf(vector.pki)
  const certificate = side === 'I' ? cred_i : cred_r
  if (vector.id_cred === 'x5chain1') return `a11821${string(certificate)}`
  const [provider] = providers
  const sha256 = provider?.crypto.hash('sha256', Buffer.from(certificate, 'hex'))
  return `a11822822e48${hex(sha256 ?? assert.fail()).slice(0, 16)}`
}

/** A byte string of CBOR, in hex. */
function string(content: string): string {
  const length = content.length / 2
  const digits = length.toString(16)
  if (length < 24) return (0x40 + length).toString(16) + content
  return (length < 256 ? `58${digits.padStart(2, '0')}` : `59${digits.padStart(4, '0')}`) + content
}

type Account = ReadonlyMap<string, string>

async function accountsOf(provider: Provider, vector: Vector): Promise<Record<Side, Account>> {
  const [I, R] = [accounting(provider), accounting(provider)]
  const [device, server] = [scriptOf(vector.id, I.provider), scriptOf(vector.id, R.provider)]
  const { message1, next: wait2 } = new Initiator(device.initiator).send()
  const compose2 = new Responder(server.responder).receive(message1)
  const { message2, next: wait3 } = await compose2.send({ own: server.R.own, cR: server.cR })
  const judgeR = await wait2.receive(message2)
  const compose3 = await judgeR.accept(device.R.trusted)
  const { message3, next } = await compose3.send()
  const authenticated = wait3.receive(message3).accept(server.I.trusted)
  const { session } = next.receive(authenticated.message4())
  for (const { suite, prkOut } of [session, authenticated.session] satisfies Session[]) {
    oscoreSecrets(suite, prkOut)
  }
  return { I: I.account, R: R.account }
}

function accounting(provider: Provider): {
  readonly provider: Provider
  readonly account: Account
} {
  const account = new Map<string, string>()
  const { crypto } = provider
  const face = (key: SecretKey): string => hex(crypto.exportSecret(key))
  const watched: ChannelCrypto = {
    ...crypto,
    hash(name, data) {
      const output = crypto.hash(name, data)
      account.set(hash(hex(data)), hex(output))
      return output
    },
    hkdfExtract(name, salt, input) {
      const output = crypto.hkdfExtract(name, salt, input)
      account.set(extract(face(salt), face(input)), face(output))
      return output
    },
    hkdfExpand(name, key, info, length) {
      const output = crypto.hkdfExpand(name, key, info, length)
      account.set(expand(face(key), hex(info)), face(output))
      return output
    },
    verify(key, scheme, data, proof) {
      const isProven = crypto.verify(key, scheme, data, proof)
      if (isProven) account.set(signature(hex(data)), hex(proof))
      return isProven
    },
  }
  return { provider: { ...provider, crypto: watched, prescribed: noted }, account }

  function noted(...[group, d, agreements]: Parameters<Provider['prescribed']>) {
    const key = provider.prescribed(group, d, agreements)
    // Of a point its x. Static keys are made later, of the same function: the first one counts.
    const x = hex(group === 'x25519' ? key.share : key.share.subarray(1, 33))
    if (!account.has('share')) account.set('share', x)
    return key
  }
}
