/**
 * Enrolment with the word of an element: what it is worth, what refuses it, and what is written down.
 * Evidence and nonces are of the vectors; everything else is the real house.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { afterEach, suite, test } from 'node:test'
import { fromHex } from '@countersign/core/codec'
import { parseCertificateRequest } from '@countersign/core/credential'
import type { DeviceRow, KeyRow } from '../../src/ports.ts'
import { ask, enrolled, invite, refusal } from '../authority/estClient.ts'
import { type House, hour, verified } from '../authority/house.ts'
import {
  type AttestedHouse,
  askNonce,
  attestedHouse,
  attestedRequest,
  certificate,
  enrolAttested,
  nextKey,
  request,
  serial,
  vectors,
} from './world.ts'

const { evidence } = vectors

let open: AttestedHouse | undefined
async function begin(...args: Parameters<typeof attestedHouse>): Promise<House> {
  open = await attestedHouse(...args)
  return open.house
}
afterEach(async () => {
  await open?.close()
  open = undefined
})

async function deviceOf(house: House): Promise<DeviceRow> {
  return house.registry.find(serial)
}

async function keyRow(house: House): Promise<KeyRow> {
  const [row] = await house.registry.keysOf((await deviceOf(house)).id)
  assert.ok(row)
  return row
}

const attested = (): Promise<Uint8Array> => attestedRequest(evidence)

suite('what evidence is worth', () => {
  test('under a configured root the device is level 3, and everything is written down', async () => {
    const house = await begin()
    enrolled(await enrolAttested(house, attested()))
    assert.equal((await deviceOf(house)).assurance, 3)
    const row = await keyRow(house)
    assert.equal(row.assurance, 3)
    assert.equal(row.origin, 'element')
    assert.deepEqual(
      [row.elementKind, row.elementSerial, row.slot],
      ['atecc608', vectors.serial, vectors.slot],
    )
    assert.equal(row.evidenceFormat, 'atecc608-internal-sign')
    assert.equal(row.verifier, 'atecc608-1')
    assert.equal(row.judgedAt, house.clock.now())
    assert.ok(Buffer.from(row.evidence ?? []).includes(Buffer.from(evidence, 'hex')))
    assert.match(row.verdict ?? '', /"level":3/)
    assert.equal((await house.store.get('element', vectors.serial))?.device, row.holder)
  })

  test('under a root that is not known it is level 0, with the reason, and no element is claimed', async () => {
    const house = await begin([])
    enrolled(await enrolAttested(house, attested()))
    const row = await keyRow(house)
    assert.equal(row.assurance, 0)
    assert.match(row.verdict ?? '', /not known here/)
    assert.equal(await house.store.get('element', vectors.serial), undefined)
  })

  test('under a root that the operator caps it is no more than the cap, with the reason', async () => {
    const house = await begin([])
    const der = certificate('root')
    await house.registry.addAnchor({ role: 'attestation', der, assuranceCap: 1 })
    enrolled(await enrolAttested(house, attested()))
    const row = await keyRow(house)
    assert.equal(row.assurance, 1)
    assert.match(row.verdict ?? '', /"level":1.*gives 1 at most/)
  })

  test('an anchor of a maker is no root of elements', async () => {
    const house = await begin([])
    await house.registry.addAnchor({ role: 'maker', der: certificate('root'), assuranceCap: 4 })
    enrolled(await enrolAttested(house, attested()))
    assert.equal((await keyRow(house)).assurance, 0)
  })

  test('of an emulator it is level 1, and 3 in a house of the demo', async () => {
    const chain = ['emulatorLeaf']
    for (const [isDemo, level] of [
      [false, 1],
      [true, 3],
    ] as const) {
      const house = await begin(['emulatorRoot'], { isDemo })
      enrolled(await enrolAttested(house, attestedRequest(evidence, { chain })))
      assert.equal((await deviceOf(house)).assurance, level)
      await open?.close()
    }
    open = undefined
  })

  test('in a format that is not known it is level 0, and kept', async () => {
    const house = await begin()
    enrolled(await enrolAttested(house, attestedRequest(evidence, { type: '2.23.133.20.1' })))
    const row = await keyRow(house)
    assert.deepEqual([row.assurance, row.evidenceFormat], [0, '2.23.133.20.1'])
    assert.ok(row.evidence)
  })

  test('a request without it is level 0', async () => {
    const house = await begin()
    enrolled(await ask(house, 'simpleenroll', { csr: await request(), token: await invite(house) }))
    const row = await keyRow(house)
    assert.deepEqual([row.assurance, row.evidence, row.verifier], [0, null, null])
  })
})

suite('a nonce', () => {
  test('is given once the token is known, as base64url with its end', async () => {
    const house = await begin()
    const answer = await askNonce(house, { token: await invite(house) })
    assert.equal(answer.status, 200)
    assert.deepEqual(JSON.parse(String(answer.body)), {
      nonce: Buffer.from(vectors.nonce, 'hex').toString('base64url'),
      expires: '2026-06-01T00:10:00.000Z',
    })
    assert.equal(answer.headers['cache-control'], 'no-store')
  })

  test('is not given to a stranger, nor by GET', async () => {
    const house = await begin()
    assert.equal(refusal(await askNonce(house, {})), '401 ERR_EST_AUTHENTICATION')
    assert.equal(refusal(await askNonce(house, { token: 'nobody' })), '401 ERR_TOKEN_UNKNOWN')
    const token = await invite(house)
    assert.equal(refusal(await askNonce(house, { token, method: 'GET' })), '405 ERR_EST_METHOD')
  })

  test('is good once: the same evidence again is a replay, with the same key or another', async () => {
    const house = await begin()
    const token = await invite(house, { count: 5 })
    await askNonce(house, { token })
    const csr = await attested()
    enrolled(await ask(house, 'simpleenroll', { csr, token }))
    const again = await ask(house, 'simpleenroll', { csr, token })
    assert.equal(refusal(again), '403 ERR_ATTESTATION_NONCE')
    assert.match(String(again.body), /used before/)
  })

  test('is spent by evidence that is refused', async () => {
    const house = await begin()
    const token = await invite(house, { count: 5 })
    await askNonce(house, { token })
    const forged = await attestedRequest(vectors.signedByStranger)
    const first = await ask(house, 'simpleenroll', { csr: forged, token })
    assert.equal(refusal(first), '403 ERR_ATTESTATION_SIGNATURE')
    const second = await ask(house, 'simpleenroll', { csr: await attested(), token })
    assert.equal(refusal(second), '403 ERR_ATTESTATION_NONCE')
  })

  test('ends after ten minutes', async () => {
    const house = await begin()
    const token = await invite(house)
    await askNonce(house, { token })
    house.clock.time += 600_000
    const late = await ask(house, 'simpleenroll', { csr: await attested(), token })
    assert.equal(refusal(late), '403 ERR_ATTESTATION_NONCE')
    assert.match(String(late.body), /expired/)
  })

  test('of another token is refused, and stays good for its own', async () => {
    const house = await begin()
    const [mine, other] = [await invite(house), await invite(house)]
    await askNonce(house, { token: mine })
    const csr = await attested()
    const stolen = await ask(house, 'simpleenroll', { csr, token: other })
    assert.equal(refusal(stolen), '403 ERR_ATTESTATION_NONCE')
    enrolled(await ask(house, 'simpleenroll', { csr, token: mine }))
  })

  test('that was never asked for, or before a restart, is refused', async () => {
    const house = await begin()
    const token = await invite(house)
    const csr = await attested()
    const made = await ask(house, 'simpleenroll', { csr, token })
    assert.equal(refusal(made), '403 ERR_ATTESTATION_NONCE')
    assert.match(String(made.body), /started again/)
  })

  test('is asked for too often: 429, for this token alone', async () => {
    const house = await begin()
    const [greedy, other] = [await invite(house), await invite(house)]
    let last = await askNonce(house, { token: greedy })
    for (let count = 1; last.status === 200 && count < 300; count++) {
      last = await askNonce(house, { token: greedy })
    }
    assert.equal(refusal(last), '429 ERR_ATTESTATION_RATE')
    assert.equal((await askNonce(house, { token: other })).status, 200)
  })
})

suite('refused with its code', () => {
  test('evidence about another key', async () => {
    const house = await begin()
    const answer = await enrolAttested(house, attestedRequest(evidence, { key: nextKey }))
    assert.equal(refusal(answer), '403 ERR_ATTESTATION_KEY')
  })

  test('evidence about a key that is not of P-256', async () => {
    const house = await begin()
    const { privateKey } = generateKeyPairSync('ed25519')
    const answer = await enrolAttested(house, attestedRequest(evidence, { key: privateKey }))
    assert.equal(refusal(answer), '403 ERR_ATTESTATION_KEY')
  })

  test('every statement that is about something else', async () => {
    for (const [what, bytes] of Object.entries(vectors.wrong)) {
      const house = await begin()
      const answer = await enrolAttested(house, attestedRequest(bytes))
      assert.equal(refusal(answer), '403 ERR_ATTESTATION_STATEMENT', what)
      assert.match(String(answer.body), /"where":"message: /)
      await open?.close()
      open = undefined
    }
  })

  test('an attestation that is no bundle, or has two statements', async () => {
    const house = await begin()
    const bare = await enrolAttested(house, request(undefined, fromHex('30023000')))
    assert.equal(refusal(bare), '403 ERR_ATTESTATION_MALFORMED')
    const one = '300706022a030401ab'
    const two = await enrolAttested(house, request(undefined, fromHex(`30143012${one}${one}`)))
    assert.equal(refusal(two), '403 ERR_ATTESTATION_STATEMENTS')
  })

  test('an element that another device has', async () => {
    const house = await begin()
    enrolled(await enrolAttested(house, attested()))
    const next = attestedRequest(vectors.next.evidence, { key: nextKey, name: 'TH-2' })
    assert.equal(refusal(await enrolAttested(house, next)), '409 ERR_ELEMENT_USED')
  })

  test('and the operator reads why', async () => {
    const house = await begin()
    await enrolAttested(house, attestedRequest(vectors.signedByStranger))
    await house.registry.settled()
    const why = await house.registry.why(serial)
    const [last] = why.refusals
    assert.equal(last?.code, 'ERR_ATTESTATION_SIGNATURE')
    assert.equal(last.where, 'signature')
    assert.match(last.remedy, /forgery/)
  })

  test('every flipped bit of the attribute, none of which passes for more than it is', async () => {
    const house = await begin()
    const token = await invite(house, { count: 100_000 })
    const { attestation } = parseCertificateRequest(await attested())
    assert.ok(attestation)
    await askNonce(house, { token })
    // The nonce is spent by the first that is readable: what comes after it is refused for that,
    // what is not readable for itself. None is let in.
    for (let bit = 0; bit < 8 * 260; bit += 1) {
      const bent = Uint8Array.from(attestation)
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const answer = await ask(house, 'simpleenroll', {
        csr: await request(undefined, bent),
        token,
      })
      if (answer.status === 200) assert.equal((await keyRow(house)).assurance, 0, `bit ${bit}`)
      else assert.match(refusal(answer), /ERR_(ATTESTATION|CSR)_/, `bit ${bit}`)
    }
  })
})

suite('what a product demands', () => {
  test('is demanded at enrolment', async () => {
    const house = await begin()
    await house.registry.setProduct('default', { assuranceMin: 3 })
    const plain = { csr: await request(), token: await invite(house) }
    assert.equal(refusal(await ask(house, 'simpleenroll', plain)), '403 ERR_ASSURANCE_TOO_LOW')
    enrolled(await enrolAttested(house, attested()))
  })

  test('is not met by an emulator, nor under a root that is not known', async () => {
    for (const roots of [['emulatorRoot'], []]) {
      const house = await begin(roots)
      await house.registry.setProduct('default', { assuranceMin: 2 })
      const answer = await enrolAttested(
        house,
        attestedRequest(evidence, { chain: ['emulatorLeaf'] }),
      )
      assert.equal(refusal(answer), '403 ERR_ASSURANCE_TOO_LOW')
      await open?.close()
    }
    open = undefined
  })

  test('a renewal with evidence keeps the level, one without is refused where more is demanded', async () => {
    const house = await begin()
    await house.registry.setProduct('default', { assuranceMin: 3 })
    const leaf = enrolled(await enrolAttested(house, attested()))
    const peer = await verified(house, leaf.der, 'owner')
    await house.registry.admit(peer, 'https')
    const bare = await ask(house, 'simplereenroll', { csr: await request(nextKey), peer })
    assert.equal(refusal(bare), '403 ERR_ASSURANCE_TOO_LOW')
    assert.equal((await askNonce(house, { peer })).status, 200)
    const csr = await attestedRequest(vectors.next.evidence, { key: nextKey })
    const renewed = enrolled(await ask(house, 'simplereenroll', { csr, peer }))
    await house.registry.admit(await verified(house, renewed.der, 'owner'), 'mqtts')
    assert.equal((await deviceOf(house)).assurance, 3)
    const keys = await house.registry.keysOf((await deviceOf(house)).id)
    const slots = keys.map(({ slot, assurance }) => [slot, assurance])
    assert.deepEqual(
      slots.toSorted(([one], [other]) => Number(one) - Number(other)),
      [
        [0, 3],
        [2, 3],
      ],
    )
  })

  test('a renewal without evidence lowers the device once the new key is in use', async () => {
    const house = await begin()
    const leaf = enrolled(await enrolAttested(house, attested()))
    const peer = await verified(house, leaf.der, 'owner')
    assert.equal((await house.registry.admit(peer, 'https')).device.assurance, 3)
    const csr = await request(nextKey)
    const renewed = enrolled(await ask(house, 'simplereenroll', { csr, peer }))
    assert.equal((await deviceOf(house)).assurance, 3)
    const next = await verified(house, renewed.der, 'owner')
    assert.equal((await house.registry.admit(next, 'https')).device.assurance, 0)
    assert.equal((await deviceOf(house)).assurance, 0)
    // Until the old certificate is over, each is worth what its own key is.
    assert.equal((await house.registry.admit(peer, 'https')).device.assurance, 3)
    await house.registry.setProduct('default', { assuranceMin: 1 })
    await assert.rejects(house.registry.admit(next, 'mqtts'), { code: 'ERR_ASSURANCE_TOO_LOW' })
    await house.registry.admit(peer, 'mqtts')
  })

  test('the same key again, with evidence this time, is worth what it shows; without, what it showed', async () => {
    const house = await begin()
    const token = await invite(house)
    const leaf = enrolled(await ask(house, 'simpleenroll', { csr: await request(), token }))
    const peer = await verified(house, leaf.der, 'owner')
    await house.registry.admit(peer, 'https')
    assert.equal((await askNonce(house, { peer })).status, 200)
    enrolled(await ask(house, 'simplereenroll', { csr: await attested(), peer }))
    assert.equal((await keyRow(house)).assurance, 3)
    await house.registry.setProduct('default', { assuranceMin: 3 })
    house.clock.time += hour
    const again = await ask(house, 'simplereenroll', { csr: await request(), peer })
    enrolled(again)
    assert.equal((await keyRow(house)).assurance, 3)
  })
})
