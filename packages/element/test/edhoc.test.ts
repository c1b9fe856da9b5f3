/**
 * EDHOC with the key of one side in each kind of element, in either role, by every method and every
 * way to name a credential. OpenSSL certifies the element's keys; the other side's are keys of Node.
 * What an element signs is checked by the other side, the protocol's bytes are core's tests.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { cbor, hex } from '@countersign/core/codec'
import {
  agreementsOf,
  type Authentication,
  Initiator,
  type InitiatorOptions,
  type Method,
  methods,
  type OwnCredential,
  offer,
  oscoreSecrets,
  Responder,
  type Session,
  suitesOf,
  type UsableSuite,
} from '@countersign/core/edhoc'
import {
  ForeignPki,
  type Holder,
  type Naming,
  namings,
  referenceTo,
  softOwn,
  type Who,
} from '../../core/test/edhoc/foreignPki.ts'
import { needsOpenssl } from '../../core/test/x509/support.ts'
import { openElement } from '../src/compose.ts'
import { elementCoseSigner, elementEphemeral, elementStaticKey } from '../src/edhoc.ts'
import { nodeCrypto } from '../src/nodeCrypto.ts'
import type { SecureElement } from '../src/ports.ts'
import { spkiOfPoint } from '../src/signer.ts'
import { skip as noTokens, softTokens } from './pkcs11/softhsm.ts'

const folder = await mkdtemp(join(tmpdir(), 'countersign-edhoc-'))
after(() => rm(folder, { recursive: true }))

const kinds: readonly (readonly [name: string, skip: string | false, url: () => string])[] = [
  ['the software twin', false, () => 'sw:'],
  ['an emulated ATECC608', false, () => 'atecc608:emulator:chip.json?times=none'],
  ['SoftHSM', noTokens, () => softTokens()('edhoc').url('device')],
]

/** The one curve of the port of elements is P-256: these are its suites. */
const suites = suitesOf(nodeCrypto).filter(({ curve }) => curve.name === 'P-256')

/** Ed25519 signs in suites 0, 1 and 4; X25519 agrees there and in suite 6. */
const cannot = [
  [0, 0, 'ERR_EDHOC_CREDENTIAL'],
  [1, 1, 'ERR_EDHOC_CREDENTIAL'],
  [4, 0, 'ERR_EDHOC_CREDENTIAL'],
  [0, 2, 'ERR_ELEMENT_UNSUPPORTED'],
  [0, 3, 'ERR_ELEMENT_UNSUPPORTED'],
  [6, 3, 'ERR_ELEMENT_UNSUPPORTED'],
] as const

const { skip: noOpenssl } = needsOpenssl()
const house = noOpenssl === false ? new ForeignPki() : undefined

for (const [name, missing, url] of kinds)
  describe(`EDHOC with a key in ${name}`, { skip: missing || noOpenssl }, () => {
    let world: World
    before(async () => {
      world = new World(await openElement(url(), { folder }), house ?? assert.fail())
    })
    after(() => world.element.close())

    for (const who of ['device', 'server'] as const)
      for (const method of methods.values())
        for (const suite of suites)
          for (const naming of namings)
            test(`${who}, method ${method.number}, suite ${suite.number}, ${naming}`, async () => {
              await handshake(world, who, method, suite, naming)
            })

    for (const method of methods.values())
      for (const suite of suites)
        test(`device, method ${method.number}, suite ${suite.number}, its ephemeral key inside too`, async (t) => {
          if (world.element.ephemeral === undefined) return t.skip('it makes no ephemeral keys')
          const { kind } = await world.element.info()
          // TempKey is gone with the first agreement; a static key of the server wants a second.
          if (kind === 'atecc608' && method.responder === 'static key') {
            return await assert.rejects(inside(world, method, suite), {
              code: 'ERR_ELEMENT_UNSUPPORTED',
              hint: /the other end signs/,
            })
          }
          await inside(world, method, suite)
        })

    test('an ephemeral key inside is of P-256, whatever the suite', async (t) => {
      if (world.element.ephemeral === undefined) return t.skip('it makes no ephemeral keys')
      const made = elementEphemeral(world.element, nodeCrypto)(suiteOf(0), 1)
      await assert.rejects(made, { code: 'ERR_ELEMENT_UNSUPPORTED', hint: 'Choose suite 2 or 3.' })
    })

    for (const [suiteNumber, number, code] of cannot)
      test(`method ${number} with suite ${suiteNumber} is refused: it is not of P-256`, async () => {
        const [suite, method] = [suiteOf(suiteNumber), methods.get(number)]
        assert.ok(method)
        await assert.rejects(handshake(world, 'device', method, suite, 'x5t'), { code })
      })

    test('method 0 with suite 6 signs with ES256 over X25519 of the host', async () => {
      await handshake(world, 'device', methods.get(0) ?? assert.fail(), suiteOf(6), 'x5t')
    })
  })

/** An element whose keys are certified for each use, once. */
class World {
  readonly element: SecureElement
  readonly pki: ForeignPki
  readonly #usedFor = new Map<number, Authentication>()
  readonly #held = new Map<string, { readonly holder: Holder; readonly slot: number }>()

  constructor(element: SecureElement, pki: ForeignPki) {
    this.element = element
    this.pki = pki
  }

  async own(who: Who, by: Authentication, naming: Naming): Promise<OwnCredential> {
    const { holder, slot } = await this.#holder(who, by)
    const { leaf } = holder
    const named = { reference: referenceTo(holder, naming), credential: cbor.byteString(leaf) }
    if (by === 'static key') {
      return { ...named, kind: by, key: elementStaticKey(this.element, slot, nodeCrypto) }
    }
    const { spki } = holder
    return { ...named, kind: by, signer: elementCoseSigner(this.element, slot, spki) }
  }

  async #holder(who: Who, by: Authentication) {
    const known = this.#held.get(who + by)
    if (known !== undefined) return known
    const slot = await this.#slotFor(by)
    const spki = spkiOfPoint(await this.#pointOf(slot, by))
    const made = { holder: this.pki.certify(who, by, spki), slot }
    this.#held.set(who + by, made)
    return made
  }

  /** One for each use where there are enough: a key does one of them (RFC 9052 §12). */
  async #slotFor(by: Authentication): Promise<number> {
    const use = by === 'signature' ? 'sign' : 'ecdh'
    const slots = (await this.element.slots()).filter(({ uses }) => uses.includes(use))
    const free = slots.filter(({ slot }) => this.#usedFor.get(slot) === undefined)
    const same = slots.filter(({ slot }) => this.#usedFor.get(slot) === by)
    const [found] = [...same, ...free, ...slots]
    assert.ok(found, `no slot for ${use}`)
    return found.slot
  }

  async #pointOf(slot: number, by: Authentication): Promise<Uint8Array> {
    if (this.#usedFor.has(slot)) return this.element.publicKey(slot)
    this.#usedFor.set(slot, by)
    return this.element.generateKey(slot)
  }
}

/** The host makes no key then. */
async function inside(world: World, method: Method, suite: UsableSuite): Promise<void> {
  const make = elementEphemeral(world.element, nodeCrypto)
  const key = await make(suite, agreementsOf(method.responder))
  const crypto = { ...nodeCrypto, generateEphemeral: () => assert.fail('the host made a key') }
  await handshake(world, 'device', method, suite, 'x5t', { crypto, ephemeral: () => key })
}

async function handshake(
  world: World,
  who: Who,
  method: Method,
  suite: UsableSuite,
  naming: Naming,
  initiating: Partial<InitiatorOptions> = {},
): Promise<void> {
  const { pki } = world
  const own = (side: Who, by: Authentication): Promise<OwnCredential> =>
    side === who
      ? world.own(side, by, naming)
      : Promise.resolve(softOwn(pki.soft(side, by, suite), by, naming, suite))
  const base: Pick<InitiatorOptions, 'crypto' | 'method'> = { crypto: nodeCrypto, method }
  const device = await own('device', method.initiator)
  const cI = Uint8Array.of(0x0e)
  const begin = { ...base, offer: offer([suite]), cI, own: device, ...initiating }
  const initiator = new Initiator(begin)
  const { message1, next: wait2 } = initiator.send()
  const responder = new Responder({ crypto: nodeCrypto, methods: [method.number], suites: [suite] })
  const answer = { own: await own('server', method.responder), cR: Uint8Array.of(1, 2, 3) }
  const { message2, next: wait3 } = await responder.receive(message1).send(answer)
  const judgeR = await wait2.receive(message2)
  const server = pki.trusted('server', suite, method.responder, judgeR.reference)
  const { message3, next: unconfirmed } = await (await judgeR.accept(server)).send()
  const judgeI = wait3.receive(message3)
  const trusted = pki.trusted('device', suite, method.initiator, judgeI.reference)
  const authenticated = judgeI.accept(trusted)
  const { session } = unconfirmed.receive(authenticated.message4())
  assert.equal(secretOf(session), secretOf(authenticated.session))
}

function secretOf({ suite, prkOut }: Session): string {
  return hex(nodeCrypto.exportSecret(oscoreSecrets(suite, prkOut).masterSecret))
}

function suiteOf(number: number): UsableSuite {
  return suitesOf(nodeCrypto).find((one) => one.number === number) ?? assert.fail()
}
