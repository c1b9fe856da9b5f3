/**
 * What every secure element must do, written against the port. What an element cannot do is an
 * absent member, and its part here is skipped with that reason. The other end is OpenSSL (through
 * Node), never the element itself.
 */
import assert from 'node:assert/strict'
import {
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  verify,
} from 'node:crypto'
import { after, before, describe, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { isCountersignError } from '@countersign/core/errors'
import {
  type ElementCapability,
  type ElementEphemeral,
  type ElementErrorCode,
  isElementError,
  isRetryable,
  lockWords,
  type SecureElement,
  type SlotUse,
} from '../src/ports.ts'
import { memberNames, plausibleCalls, type Search, waysToScalar } from './reach.ts'
import { ecdsaToDer, elementSigner, pointOfSpki, spkiOfPoint } from '../src/signer.ts'
import { assertAttested } from './attestationCompliance.ts'
import { verifiesDigest } from './digestSignature.ts'

export interface ElementUnderTest {
  /** Ready for use: locked where its kind needs that. A new one each time the suite begins. */
  open(): Promise<SecureElement>
  /** The same element again, after `close`: keys, data and counters must be there. */
  reopen(): Promise<SecureElement>
  /**
   * Everything that callers see of it, its prototypes included, in the order of the alphabet: a new
   * member is a decision, also about keys.
   */
  readonly members: readonly string[]
  /**
   * The private key of this public key, where a test can know it. Of what a token makes it cannot:
   * that this stays inside is said by these members and by CKA_SENSITIVE, CKA_EXTRACTABLE and
   * CKA_NEVER_EXTRACTABLE, which pkcs11-tool reads in element.test.ts and tpm.test.ts.
   */
  readonly scalarOf?: (point: Uint8Array) => Uint8Array
  /** The suite may lock a slot of this one. */
  readonly mayLock: boolean
  /** Rounds of signing; each costs what the element costs. */
  readonly rounds?: number
}

/** One suite; `skip` names why there is no such element on this machine. */
export function elementCompliance(
  name: string,
  subject: ElementUnderTest,
  skip: string | false = false,
): void {
  describe(`secure element: ${name}`, { skip }, () => {
    const held: Held = { element: undefined }
    before(async () => {
      held.element = await subject.open()
    })
    after(() => held.element?.close())
    identity(held)
    keys(held, subject)
    refusals(held)
    agreement(held)
    data(held)
    counters(held)
    attestation(held)
    faceless(held)
    shut(held, subject)
    persistence(held, subject)
    if (subject.mayLock) locks(held)
  })
}

interface Held {
  element: SecureElement | undefined
}

const digest = (text: string): Uint8Array => createHash('sha256').update(text).digest()

function of(held: Held): SecureElement {
  return held.element ?? assert.fail('the element did not open')
}

function identity(held: Held): void {
  test('it says who it is, the same every time', async () => {
    const info = await of(held).info()
    assert.match(info.serial, /^(?:[0-9a-f]{2}){4,64}$/)
    for (const text of [info.vendor, info.model, info.revision]) assert.ok(text.length > 0)
    assert.deepEqual(await of(held).info(), info)
  })

  test('one that is ready for use is locked where its rules hang on that', async () => {
    assert.deepEqual(await of(held).state(), { config: 'locked', data: 'locked' })
  })

  test('what it says it can do is there, and nothing else', async () => {
    const element = of(held)
    const members: Record<ElementCapability, keyof SecureElement> = {
      ecdh: 'ecdh',
      ephemeral: 'ephemeral',
      data: 'data',
      counters: 'counters',
      attestation: 'attest',
      lock: 'lock',
    }
    const { capabilities } = await element.info()
    const there = Object.entries(members).filter(([, member]) => element[member] !== undefined)
    assert.deepEqual([...capabilities].toSorted(), there.map(([name]) => name).toSorted())
  })

  test('its slots are told in order, one of them signs and takes a new key', async () => {
    const slots = await of(held).slots()
    const numbers = slots.map(({ slot }) => slot)
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    )
    assert.equal(new Set(numbers).size, numbers.length)
    assert.ok(slots.some(({ uses, canGenerate }) => uses.includes('sign') && canGenerate))
  })

  test('its random bytes come in any length and do not repeat', async () => {
    const element = of(held)
    for (const length of [0, 1, 31, 32, 33, 100]) {
      assert.equal((await element.random(length)).length, length)
    }
    const [one, other] = [await element.random(32), await element.random(32)]
    assert.notDeepEqual(one, other)
    assert.ok(new Set(one).size > 8, 'a fixed pattern is no randomness')
  })
}

async function slotFor(held: Held, use: SlotUse): Promise<number> {
  const slots = await of(held).slots()
  const found = slots.find(({ uses, canGenerate }) => uses.includes(use) && canGenerate)
  return found?.slot ?? assert.fail(`no slot for ${use}`)
}

function keys(held: Held, { rounds = 20 }: ElementUnderTest): void {
  test('a new key is a point of the curve, told again, and another each time', async () => {
    const element = of(held)
    const slot = await slotFor(held, 'sign')
    const first = await element.generateKey(slot)
    assert.equal(first.length, 64)
    assert.deepEqual(await element.publicKey(slot), first)
    openssl(first)
    const second = await element.generateKey(slot)
    assert.notDeepEqual(second, first)
    assert.deepEqual(await element.publicKey(slot), second)
    const told = (await element.slots()).find((one) => one.slot === slot)
    assert.equal(told?.state, 'key')
  })

  test('what it signs, OpenSSL verifies, as r and s and as DER', async () => {
    const element = of(held)
    const slot = await slotFor(held, 'sign')
    const key = openssl(await element.generateKey(slot))
    for (let round = 0; round < rounds; round++) {
      const message = Buffer.from(`reading ${round}`)
      const signature = await element.sign(slot, digest(`reading ${round}`))
      assert.equal(signature.length, 64)
      assert.ok(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature))
      assert.ok(verify('sha256', message, key, ecdsaToDer(signature)))
    }
  })

  test('a digest of zeros and one of ones are signed like any other', async () => {
    const element = of(held)
    const slot = await slotFor(held, 'sign')
    const point = await element.publicKey(slot)
    const [zeros, ones] = [new Uint8Array(32), new Uint8Array(32).fill(0xff)]
    const signatures = [await element.sign(slot, zeros), await element.sign(slot, ones)] as const
    assert.ok(verifiesDigest(point, zeros, signatures[0]))
    assert.ok(verifiesDigest(point, ones, signatures[1]))
    assert.ok(!verifiesDigest(point, zeros, signatures[1]))
    assert.ok(!verifiesDigest(point, ones, signatures[0]))
  })

  test('its signer gives DER to whoever signs a certificate request', async () => {
    const slot = await slotFor(held, 'sign')
    const signer = await elementSigner(of(held), slot)
    const message = Buffer.from('what is signed whole')
    const key = createPublicKey({ key: Buffer.from(signer.spki), format: 'der', type: 'spki' })
    assert.ok(verify('sha256', message, key, await signer.sign(message)))
  })

  test('many callers at once each get their own answer', async () => {
    const element = of(held)
    const slot = await slotFor(held, 'sign')
    const key = openssl(await element.publicKey(slot))
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        if (i % 2 === 1) return (await element.random(16)).length === 16
        const signature = await element.sign(slot, digest(`at once ${i}`))
        const message = Buffer.from(`at once ${i}`)
        return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
      }),
    )
    assert.deepEqual(
      answers,
      Array.from({ length: 8 }, () => true),
    )
  })
}

function openssl(point: Uint8Array): ReturnType<typeof createPublicKey> {
  return createPublicKey({ key: Buffer.from(spkiOfPoint(point)), format: 'der', type: 'spki' })
}

function refusals(held: Held): void {
  test('a slot that is not there is refused by its code, for every act', async () => {
    const element = of(held)
    for (const slot of [-1, 99, 1.5, Number.NaN]) {
      await refused(element.generateKey(slot), 'ERR_ELEMENT_SLOT')
      await refused(element.publicKey(slot), 'ERR_ELEMENT_SLOT')
      await refused(element.sign(slot, digest('')), 'ERR_ELEMENT_SLOT')
    }
  })

  test('only a digest of 32 bytes is signed', async () => {
    const slot = await slotFor(held, 'sign')
    for (const length of [0, 31, 33, 64]) {
      await refused(of(held).sign(slot, new Uint8Array(length)), 'ERR_ELEMENT_DIGEST')
    }
  })

  test('a length of random bytes that is none is refused', async () => {
    for (const length of [-1, 1.5, Number.NaN, 1e9]) {
      await refused(of(held).random(length), 'ERR_ELEMENT_ARGUMENT')
    }
  })

  test('an empty slot is said to be empty', async (t) => {
    const slots = await of(held).slots()
    const empty = slots.find(({ state, uses }) => state === 'empty' && uses.includes('sign'))
    if (empty === undefined) return t.skip('every slot of this element holds a key')
    await refused(of(held).publicKey(empty.slot), 'ERR_ELEMENT_SLOT_EMPTY')
    await refused(of(held).sign(empty.slot, digest('')), 'ERR_ELEMENT_SLOT_EMPTY')
  })

  test('it goes on after a refusal', async () => {
    const slot = await slotFor(held, 'sign')
    await refused(of(held).sign(slot, new Uint8Array(5)), 'ERR_ELEMENT_DIGEST')
    assert.equal((await of(held).sign(slot, digest('after'))).length, 64)
  })
}

/** One of the closed set, with words. */
export async function refused(act: Promise<unknown>, code: ElementErrorCode): Promise<void> {
  await assert.rejects(act, (error) => {
    assert.ok(isElementError(error), inspect(error))
    assert.equal(error.code, code, error.message)
    assert.ok(isCountersignError(error))
    assert.equal(typeof isRetryable(error.code), 'boolean')
    return true
  })
}

function agreement(held: Held): void {
  test('both ends of an agreement have the same secret', async (t) => {
    const element = of(held)
    if (element.ecdh === undefined) return t.skip('this element does no ECDH')
    const slot = await slotFor(held, 'ecdh')
    const own = await element.generateKey(slot)
    const peer = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const secret = await element.ecdh(slot, rawPoint(peer.publicKey))
    const theirs = diffieHellman({ privateKey: peer.privateKey, publicKey: openssl(own) })
    assert.deepEqual(Buffer.from(secret), theirs)
  })

  test('a point that is not on the curve is refused', async (t) => {
    const element = of(held)
    if (element.ecdh === undefined) return t.skip('this element does no ECDH')
    const slot = await slotFor(held, 'ecdh')
    const point = (await element.generateKey(slot)).slice()
    point[63] = (point[63] ?? 0) ^ 1
    await refused(element.ecdh(slot, point), 'ERR_ELEMENT_ECC')
    await refused(element.ecdh(slot, new Uint8Array(64)), 'ERR_ELEMENT_ECC')
    await refused(element.ecdh(slot, point.subarray(1)), 'ERR_ELEMENT_ARGUMENT')
  })

  test('a key made for one agreement agrees once', async (t) => {
    const element = of(held)
    if (element.ephemeral === undefined) return t.skip('this element makes no such keys')
    const peer = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const ephemeral = await element.ephemeral()
    const secret = await ephemeral.agree(rawPoint(peer.publicKey))
    const publicKey = openssl(ephemeral.point)
    const theirs = diffieHellman({ privateKey: peer.privateKey, publicKey })
    assert.deepEqual(Buffer.from(secret), theirs)
    await refused(ephemeral.agree(rawPoint(peer.publicKey)), 'ERR_ELEMENT_ARGUMENT')
    assert.notDeepEqual((await element.ephemeral()).point, ephemeral.point)
  })

  test('a key made for one agreement is gone after a wrong point too', async (t) => {
    const element = of(held)
    if (element.ephemeral === undefined) return t.skip('this element makes no such keys')
    const ephemeral = await element.ephemeral()
    await refused(ephemeral.agree(new Uint8Array(64)), 'ERR_ELEMENT_ECC')
    const peer = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await refused(ephemeral.agree(rawPoint(peer.publicKey)), 'ERR_ELEMENT_ARGUMENT')
  })

  test('a key made for several agreements agrees so often, or is not made', async (t) => {
    const element = of(held)
    if (element.ephemeral === undefined) return t.skip('this element makes no such keys')
    const made = await element.ephemeral(2).catch((error: unknown) => error)
    if (made instanceof Error) {
      return await refused(Promise.reject(made), 'ERR_ELEMENT_UNSUPPORTED')
    }
    const ephemeral = made as ElementEphemeral
    const publicKey = openssl(ephemeral.point)
    for (let round = 0; round < 2; round++) {
      const peer = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const theirs = diffieHellman({ privateKey: peer.privateKey, publicKey })
      assert.deepEqual(Buffer.from(await ephemeral.agree(rawPoint(peer.publicKey))), theirs)
    }
    const peer = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await refused(ephemeral.agree(rawPoint(peer.publicKey)), 'ERR_ELEMENT_ARGUMENT')
  })

  test('a key that waits while something is signed agrees, or says that it may be tried again', async (t) => {
    const element = of(held)
    if (element.ephemeral === undefined) return t.skip('this element makes no such keys')
    const slot = await slotFor(held, 'sign')
    await element.generateKey(slot)
    const ephemeral = await element.ephemeral()
    await element.sign(slot, digest('meanwhile'))
    const peer = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const agreed = await ephemeral.agree(rawPoint(peer.publicKey)).catch((error: unknown) => error)
    if (isElementError(agreed)) return assert.ok(isRetryable(agreed.code), agreed.message)
    const publicKey = openssl(ephemeral.point)
    const theirs = diffieHellman({ privateKey: peer.privateKey, publicKey })
    assert.deepEqual(Buffer.from(agreed as Uint8Array), theirs)
  })
}

function rawPoint(key: ReturnType<typeof createPublicKey>): Uint8Array {
  return pointOfSpki(key.export({ type: 'spki', format: 'der' }))
}

function data(suite: Held): void {
  test('data is read as it was written, at any offset, and nothing beside it changes', async (t) => {
    const room = of(suite).data
    if (room === undefined) return t.skip('this element keeps no data')
    const writable = (await room.slots()).find((one) => one.writable)
    if (writable === undefined) return t.skip('no slot of data is writable')
    const { slot, size } = writable
    const whole = Uint8Array.from({ length: size }, (_, i) => (7 * i + 3) & 0xff)
    await room.write(slot, 0, whole)
    assert.deepEqual(new Uint8Array(await room.read(slot, 0, size)), whole)
    for (const [offset, length] of [
      [0, 1],
      [1, 3],
      [5, 30],
      [size - 7, 7],
    ] as const) {
      const part = new Uint8Array(length).fill(0xa5)
      whole.set(part, offset)
      await room.write(slot, offset, part)
      assert.deepEqual(new Uint8Array(await room.read(slot, offset, length)), part)
    }
    assert.deepEqual(new Uint8Array(await room.read(slot, 0, size)), whole)
  })

  test('data beyond the slot is refused and nothing is written', async (t) => {
    const room = of(suite).data
    if (room === undefined) return t.skip('this element keeps no data')
    const [first] = (await room.slots()).filter((one) => one.writable)
    if (first === undefined) return t.skip('no slot of data is writable')
    const held = await room.read(first.slot, 0, first.size)
    for (const offset of [first.size, first.size - 1, -1, 0.5]) {
      await refused(room.write(first.slot, offset, new Uint8Array(2)), 'ERR_ELEMENT_ARGUMENT')
      await refused(room.read(first.slot, offset, 2), 'ERR_ELEMENT_ARGUMENT')
    }
    await refused(room.read(99, 0, 1), 'ERR_ELEMENT_SLOT')
    assert.deepEqual(await room.read(first.slot, 0, first.size), held)
  })
}

function counters(held: Held): void {
  test('a counter goes up by one and is told', async (t) => {
    const room = of(held).counters
    if (room === undefined) return t.skip('this element has no counters')
    for (let counter = 0; counter < room.count; counter++) {
      const start = await room.read(counter)
      assert.equal(await room.increment(counter), start + 1)
      assert.equal(await room.read(counter), start + 1)
    }
    await refused(room.read(room.count), 'ERR_ELEMENT_ARGUMENT')
    await refused(room.increment(-1), 'ERR_ELEMENT_ARGUMENT')
  })
}

function attestation(held: Held): void {
  test('a statement is about its key, over the nonce, and by a key that only attests', async (t) => {
    const element = of(held)
    if (element.attest === undefined) return t.skip('this element attests nothing')
    const slot = await slotFor(held, 'sign')
    await element.generateKey(slot)
    for (const nonce of [new Uint8Array(32), digest('a nonce'), digest('another')]) {
      await assertAttested(element, slot, nonce, await element.attest(slot, nonce))
    }
    await element.generateKey(slot)
    await assertAttested(element, slot, digest('new'), await element.attest(slot, digest('new')))
  })

  test('no statement without a nonce of 32 bytes, or of a slot that is not there', async (t) => {
    const element = of(held)
    if (element.attest === undefined) return t.skip('this element attests nothing')
    const slot = await slotFor(held, 'sign')
    for (const length of [0, 20, 31, 33]) {
      await refused(element.attest(slot, new Uint8Array(length)), 'ERR_ELEMENT_ARGUMENT')
    }
    await refused(element.attest(99, digest('')), 'ERR_ELEMENT_SLOT')
    const empty = (await element.slots()).find(({ state, uses }) => {
      return state === 'empty' && uses.includes('sign')
    })
    if (empty === undefined) return
    await refused(element.attest(empty.slot, digest('')), 'ERR_ELEMENT_SLOT_EMPTY')
  })
}

function faceless(held: Held): void {
  test('printing it, its errors and its functions shows no private key', async () => {
    const element = of(held)
    const slot = await slotFor(held, 'sign')
    await element.generateKey(slot)
    const failure = await element.sign(99, digest('')).catch((error: unknown) => error)
    const shown =
      inspect(element, { depth: 12, showHidden: true, maxStringLength: null }) +
      inspect(failure, { depth: 12, showHidden: true }) +
      JSON.stringify(element)
    assert.doesNotMatch(shown, /PRIVATE|pkcs8|"d"|privateKey/i)
  })
}

function shut(held: Held, { members, scalarOf }: ElementUnderTest): void {
  test('it has the members that were decided on, and no others', () => {
    assert.deepEqual(memberNames(of(held)), members)
  })

  test('no member gives its private key out, nor an answer, nor an error', async (t) => {
    if (scalarOf === undefined) return t.skip('nobody but this element knows its private keys')
    const element = of(held)
    const slot = await slotFor(held, 'sign')
    const answer = await element.generateKey(slot)
    // Copies: a small buffer shares its memory with others.
    const point = new Uint8Array(answer)
    const search: Search = {
      scalar: scalarOf(point),
      calls: plausibleCalls(slot, point),
      // The key that is looked for must stay, and be in use.
      uncalled: ['generateKey', 'close'],
    }
    assert.deepEqual(await waysToScalar({ element, generateKey: answer }, search), [])
    assert.deepEqual(await element.publicKey(slot), point)
    // What the search finds when there is something to find.
    const { scalar } = search
    const open = { key: () => [{ jwk: { d: Buffer.from(scalar).toString('base64url') } }] }
    assert.ok((await waysToScalar(open, search)).includes('.key().0.jwk.d'))
  })
}

function persistence(held: Held, subject: ElementUnderTest): void {
  test('closed, it does nothing; opened again, its keys and counters are there', async () => {
    const element = of(held)
    const slot = await slotFor(held, 'sign')
    const point = await element.generateKey(slot)
    const { serial } = await element.info()
    const count = await element.counters?.read(0)
    await element.close()
    await assertClosed(element, slot)
    const again = await subject.reopen()
    held.element = again
    assert.deepEqual(await again.publicKey(slot), point)
    assert.equal((await again.info()).serial, serial)
    assert.equal(await again.counters?.read(0), count)
    const signature = await again.sign(slot, digest('again'))
    const key = { key: openssl(point), dsaEncoding: 'ieee-p1363' } as const
    assert.ok(verify('sha256', Buffer.from('again'), key, signature))
  })
}

/** Each call that the element offers is refused; closing it once more is not. */
async function assertClosed(element: SecureElement, slot: number): Promise<void> {
  const { data: room, counters: count } = element
  const peer = rawPoint(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)
  const target = { kind: 'slot', slot } as const
  const calls: readonly (Promise<unknown> | undefined)[] = [
    element.info(),
    element.state(),
    element.slots(),
    element.generateKey(slot),
    element.publicKey(slot),
    element.sign(slot, digest('closed')),
    element.random(16),
    element.ecdh?.(slot, peer),
    element.ephemeral?.(),
    room?.slots(),
    room?.read(8, 0, 4),
    room?.write(8, 0, new Uint8Array(4)),
    count?.read(0),
    count?.increment(0),
    element.attest?.(slot, digest('closed')),
    element.lockDigest?.(target),
    element.lock?.(target, { confirm: lockWords, expected: digest('closed') }),
  ]
  const asked = calls.filter((call) => call !== undefined)
  await Promise.all(asked.map((call) => refused(call, 'ERR_ELEMENT_GONE')))
  await element.close()
}

function locks(held: Held): void {
  test('a slot is locked only by the words and the digest of what is in it', async (t) => {
    const target = await lockable(held, t)
    const element = of(held)
    if (target === undefined || element.lock === undefined) return
    const expected = await digestOf(element, target)
    const wrong = expected.map((octet) => octet ^ 1)
    const words = 'yes' as typeof lockWords
    await refused(element.lock(target, { confirm: words, expected }), 'ERR_ELEMENT_CONFIRMATION')
    await refused(
      element.lock(target, { confirm: lockWords, expected: wrong }),
      'ERR_ELEMENT_CONFIRMATION',
    )
    const told = (await element.slots()).find(({ slot }) => slot === target.slot)
    assert.equal(told?.locked, false)
  })

  test('a locked slot signs and takes no new key', async (t) => {
    const target = await lockable(held, t)
    const element = of(held)
    if (target === undefined || element.lock === undefined) return
    const point = await element.generateKey(target.slot)
    const expected = await digestOf(element, target)
    await element.lock(target, { confirm: lockWords, expected })
    const told = (await element.slots()).find(({ slot }) => slot === target.slot)
    assert.deepEqual([told?.locked, told?.canGenerate], [true, false])
    await refused(element.generateKey(target.slot), 'ERR_ELEMENT_LOCKED')
    assert.deepEqual(await element.publicKey(target.slot), point)
    assert.equal((await element.sign(target.slot, digest('locked'))).length, 64)
    await refused(element.lock(target, { confirm: lockWords, expected }), 'ERR_ELEMENT_LOCKED')
  })
}

/** The last one that signs: the first stays free for whoever comes after. */
async function lockable(
  held: Held,
  t: TestContext,
): Promise<{ readonly kind: 'slot'; readonly slot: number } | undefined> {
  if (of(held).lock === undefined) {
    t.skip('this element has no locks')
    return undefined
  }
  const slots = await of(held).slots()
  const found = slots.findLast(({ uses, canGenerate }) => uses.includes('sign') && canGenerate)
  if (found === undefined) assert.fail('no slot can be locked')
  const { slot } = found
  await of(held).generateKey(slot)
  return { kind: 'slot', slot }
}

async function digestOf(
  element: SecureElement,
  target: { readonly kind: 'slot'; readonly slot: number },
): Promise<Uint8Array> {
  return (await element.lockDigest?.(target)) ?? assert.fail('lock without lockDigest')
}
