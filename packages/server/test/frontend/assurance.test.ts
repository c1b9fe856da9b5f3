/**
 * Attestation over real TLS: the nonce is asked for at the https door, and what the element said decides
 * at each handshake, for the very key that is shown.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { parseCertificate, parseCertsOnly } from '@countersign/core/credential'
import {
  attestedRequest,
  certificate,
  deviceKey,
  nextKey,
  nonces,
  request,
  serial,
  vectors,
} from '../attestation/world.ts'
import { base64, basic, invite } from '../authority/estClient.ts'
import { type Answer, DoorHouse, post, type Shown, shown } from './house.ts'

const noncePath = '/v1/attestation/nonce'

function certified(answer: Answer): Uint8Array {
  assert.equal(answer.status, 200, answer.body)
  const [der] = parseCertsOnly(Buffer.from(answer.body, 'base64'))
  assert.ok(der)
  return der
}

function problem({ status, body }: Answer): string {
  const { code } = JSON.parse(body) as { code?: string }
  return `${status} ${code}`
}

suite('attestation at the https door', () => {
  let house: DoorHouse
  before(async () => {
    house = await DoorHouse.create({ house: { random: nonces() } })
    const { registry } = house.house
    await registry.addAnchor({ role: 'attestation', der: certificate('root') })
    await registry.setProduct('default', { assuranceMin: 3 })
  })
  after(() => house.close())

  function est(operation: string, csr: Uint8Array, who: Shown | string): Promise<Answer> {
    const isToken = typeof who === 'string'
    const headers = { 'content-type': 'application/pkcs10' }
    return house.ask(`/.well-known/est/${operation}`, isToken ? undefined : who, {
      headers: isToken ? { ...headers, authorization: basic(who) } : headers,
      body: base64(csr),
    })
  }

  let current: Shown

  test('who has no credential gets no nonce, and learns how to ask', async () => {
    const answer = await house.ask(noncePath, undefined, { method: 'POST' })
    assert.equal(problem(answer), '401 ERR_EST_AUTHENTICATION')
    assert.equal(answer.headers['content-type'], 'application/problem+json')
    assert.match(answer.headers['www-authenticate'] ?? '', /^Basic/)
    const other = await house.ask(noncePath)
    assert.equal(problem(other), '405 ERR_EST_METHOD')
    assert.equal(other.headers['allow'], 'POST')
  })

  test('an attested key enrols by token, and its messages say level 3', async () => {
    const token = await invite(house.house)
    const headers = { authorization: basic(token) }
    const given = await house.ask(noncePath, undefined, { method: 'POST', headers })
    assert.equal(given.status, 200)
    assert.equal(given.headers['content-type'], 'application/json')
    const { nonce } = JSON.parse(given.body) as { nonce: string }
    assert.equal(Buffer.from(nonce, 'base64url').toString('hex'), vectors.nonce)
    const der = certified(await est('simpleenroll', await attestedRequest(vectors.evidence), token))
    assert.equal(parseCertificate(der).extensions.subjectAltName?.length, 1)
    current = shown(der, deviceKey)
    assert.equal((await house.send(current)).status, 202)
    const [message] = await house.messages()
    assert.match(message?.body ?? '', /"assurance":3/)
  })

  test('a renewal to a key without evidence is refused as long as 3 is demanded', async () => {
    const answer = await est('simplereenroll', await request(nextKey), current)
    assert.equal(problem(answer), '403 ERR_ASSURANCE_TOO_LOW')
  })

  test('its own certificate asks for the nonce of a renewal, and no other takes it', async () => {
    const given = await house.ask(noncePath, current, { method: 'POST' })
    assert.equal(given.status, 200)
    const csr = await attestedRequest(vectors.next.evidence, { key: nextKey })
    const stolen = await est('simpleenroll', csr, await invite(house.house))
    assert.equal(problem(stolen), '403 ERR_ATTESTATION_NONCE')
    const renewed = shown(certified(await est('simplereenroll', csr, current)), nextKey)
    assert.equal((await house.send(renewed)).status, 202)
    assert.equal((await house.house.registry.find(serial)).assurance, 3)
    current = renewed
  })

  test('each certificate is judged by its own key, also while the device has a better one', async () => {
    const { registry } = house.house
    await registry.setProduct('default', { assuranceMin: 0 })
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const csr = await request(privateKey)
    const plain = shown(certified(await est('simplereenroll', csr, current)), privateKey)
    assert.equal((await house.send(plain)).status, 202)
    assert.match((await house.messages()).at(-1)?.body ?? '', /"assurance":0/)
    assert.equal((await registry.find(serial)).assurance, 0)
    await registry.setProduct('default', { assuranceMin: 3 })
    assert.equal((await house.send(plain)).status, 403)
    assert.equal((await house.send(current)).status, 202)
    assert.match((await house.messages()).at(-1)?.body ?? '', /"assurance":3/)
    const refusal = (await house.refusals()).at(-1)
    assert.equal(refusal?.['code'], 'ERR_ASSURANCE_TOO_LOW')
    assert.equal(refusal['where'], 'link 0: subjectPublicKeyInfo: assurance')
  })

  test('a live connection ends when the root that its level stands under is no anchor any more', async () => {
    const { registry } = house.house
    const line = await house.session(current)
    const [root] = await registry.allAnchors('attestation')
    await registry.removeAnchor(root?.fingerprint ?? '')
    await line.closed
    assert.equal((await house.send(current)).status, 403)
    await registry.addAnchor({ role: 'attestation', der: certificate('root') })
    assert.equal((await house.send(current)).status, 202)
  })

  test('one of a product that demands nothing goes on, and says what it is worth now', async () => {
    const { registry } = house.house
    await registry.setProduct('default', { assuranceMin: 0 })
    const line = await house.session(current)
    const [root] = await registry.allAnchors('attestation')
    await registry.removeAnchor(root?.fingerprint ?? '')
    line.write(post('later', 'x'))
    await line.received('"id":')
    assert.match((await house.messages()).at(-1)?.body ?? '', /"assurance":0/)
    line.socket.destroy()
  })
})
