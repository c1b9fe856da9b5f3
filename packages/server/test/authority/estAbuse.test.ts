/** What a holder of a good token or a maker's certificate might try beyond what it is for. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { fromHex } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificate,
  encodeAuthorityKeyId,
  encodeBasicConstraints,
  encodeKeyUsage,
  encodeName,
  encodeSubjectKeyId,
  euiFromCertificate,
  macAddressName,
  serialNumberOf,
  type VerifiedPeer,
} from '@countersign/core/credential'
import { ask, enrolled, invite, refusal } from './estClient.ts'
import { day, type House, makeHouse, newKey, requestFor, verified } from './house.ts'

let house: House
let foreign: (serial: string) => Promise<VerifiedPeer>

before(async () => {
  house = await makeHouse()
  foreign = await foreignMaker()
})

after(async () => {
  assert.deepEqual(house.logged, [])
  await house.close()
})

/** Makes certificates that name a serial number and no EUI-64, as many makers' do. */
async function foreignMaker(): Promise<(serial: string) => Promise<VerifiedPeer>> {
  const { signer } = newKey()
  const now = house.clock.now()
  const issuer = encodeName([{ type: attributeOid.commonName, value: 'A maker elsewhere' }])
  const keyId = Uint8Array.of(1, 2, 3, 4)
  const dates = { issuer, notBefore: now - day, notAfter: now + 400 * day }
  const ca = await createCertificate(
    {
      ...dates,
      serial: Uint8Array.of(1),
      subject: issuer,
      spki: signer.spki,
      extensions: [
        encodeBasicConstraints(true, 0),
        encodeKeyUsage(['keyCertSign', 'cRLSign']),
        encodeSubjectKeyId(keyId),
      ],
    },
    signer,
  )
  await house.registry.addAnchor({ role: 'maker', der: ca, product: 'default' })
  let number = 1
  return async (serial) => {
    const leaf = {
      ...dates,
      serial: Uint8Array.of(++number),
      subject: encodeName([{ type: attributeOid.serialNumber, value: serial }]),
      spki: newKey().signer.spki,
      extensions: [encodeAuthorityKeyId(keyId)],
    }
    return verified(house, await createCertificate(leaf, signer), 'maker')
  }
}

describe("a maker's certificate", () => {
  it('does not fill the registry by enrolling its device again and again', async () => {
    const { der } = await house.authority.issueIdevid({
      csr: await requestFor('LOOP-1', newKey().signer),
      product: 'default',
      origin: 'element',
      assurance: 1,
      actor: 'station-1',
    })
    for (const peer of [await verified(house, der, 'maker'), await foreign('LOOP-2')]) {
      const serial = serialNumberOf(peer.leaf.subject) ?? ''
      const statuses: number[] = []
      let csr = new Uint8Array()
      for (let round = 0; round < 14; round++) {
        csr = Uint8Array.from(await requestFor(serial, newKey().signer))
        statuses.push((await ask(house, 'simpleenroll', { peer, csr })).status)
      }
      assert.deepEqual(new Set(statuses.slice(0, 6)), new Set([200]))
      assert.equal(statuses.at(-1), 429)
      assert.equal(refusal(await ask(house, 'simpleenroll', { peer, csr })), '429 ERR_EST_RATE')
      house.clock.time += day
      assert.equal((await ask(house, 'simpleenroll', { peer, csr })).status, 200)
    }
  })

  it('that names no EUI-64 entitles to none of the device’s own choice', async () => {
    const peer = await foreign('EUI-1')
    const chosen = macAddressName(fromHex('0011223344556677'))
    const { signer } = newKey()
    const csr = await requestFor('EUI-1', signer, [chosen])
    assert.equal(refusal(await ask(house, 'simpleenroll', { peer, csr })), '400 ERR_EST_SUBJECT')
    const plain = await requestFor('EUI-1', signer)
    const first = enrolled(await ask(house, 'simpleenroll', { peer, csr: plain }))
    const given = euiFromCertificate(first)
    assert.ok(given)
    // The address that it was given it may name from then on.
    const again = await requestFor('EUI-1', newKey().signer, [macAddressName(fromHex(given))])
    assert.equal(
      euiFromCertificate(enrolled(await ask(house, 'simpleenroll', { peer, csr: again }))),
      given,
    )
    assert.equal(
      refusal(
        await ask(house, 'simpleenroll', {
          peer,
          csr: await requestFor('EUI-1', newKey().signer, [chosen]),
        }),
      ),
      '400 ERR_EST_SUBJECT',
    )
  })
})

describe('one key', () => {
  it('asked for under two serial numbers at once is one device', async () => {
    const token = await invite(house, { count: 2 })
    const { signer } = newKey()
    const requests = [await requestFor('ONE-1', signer), await requestFor('ONE-2', signer)]
    const answers = await Promise.all(
      requests.map((csr) => ask(house, 'simpleenroll', { token, csr })),
    )
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
    assert.deepEqual(statuses, [200, 409])
    for (const [index, answer] of answers.entries()) {
      if (answer.status !== 200) continue
      assert.equal(serialNumberOf(enrolled(answer).subject), ['ONE-1', 'ONE-2'][index])
    }
  })
})
