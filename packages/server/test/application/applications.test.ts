import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { createCertificate, encodeName, encodeSubjectAltName } from '@countersign/core/credential'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { pemOf } from '../frontend/house.ts'
import { ApplicationHouse } from './house.ts'
import { hang, Receiver, status } from './receiver.ts'

describe('an application', () => {
  let house: ApplicationHouse
  beforeEach(async () => {
    house = await ApplicationHouse.create({ applicationsMax: 3 })
  })
  afterEach(() => house.dispose())

  it('is known by its token, and by nothing that resembles it', async () => {
    const { id, token } = await house.applications.add({ name: 'desk' })
    assert.equal((await house.applications.authenticate(token))?.id, id)
    for (const guess of [
      '',
      token.slice(0, -1),
      `${token}x`,
      token.toLowerCase(),
      'x'.repeat(1_000_000),
    ])
      assert.equal(await house.applications.authenticate(guess), undefined)
    await house.applications.remove(id)
    assert.equal(await house.applications.authenticate(token), undefined)
  })

  it('leaves neither its token nor its secret in the folder or in a listing', async () => {
    const { token, secret } = await house.applications.add({
      name: 'desk',
      webhook: 'http://127.0.0.1:1/',
    })
    const bytes = Buffer.from(secret.slice('whsec_'.length), 'base64')
    const traces = [Buffer.from(token), Buffer.from(secret), bytes]
    await house.outbox.close()
    for (const name of await readdir(house.dir, { recursive: true, withFileTypes: true })) {
      if (!name.isFile()) continue
      const content = await readFile(join(name.parentPath, name.name))
      for (const trace of traces) assert.equal(content.includes(trace), false, name.name)
    }
    assert.ok(!JSON.stringify(await house.applications.list()).includes(token))
  })

  it('has a name of its own, also when two are added at once', async () => {
    const both = await Promise.allSettled([
      house.applications.add({ name: 'desk' }),
      house.applications.add({ name: 'desk' }),
    ])
    assert.deepEqual(both.map((one) => one.status).toSorted(), ['fulfilled', 'rejected'])
    await assert.rejects(house.applications.add({ name: 'desk' }), {
      name: 'CallerError',
      code: 'ERR_APPLICATION_EXISTS',
    })
    for (const name of ['', '-x', 'a b', 'x'.repeat(65), '../x', 'a\n'])
      await assert.rejects(house.applications.add({ name }), { code: 'ERR_APPLICATION_NAME' })
  })

  it('is one of so many', async () => {
    for (const name of ['a', 'b', 'c']) await house.applications.add({ name })
    await assert.rejects(house.applications.add({ name: 'd' }), { code: 'ERR_APPLICATION_LIMIT' })
  })

  it('is not added with a webhook that must not be called', async () => {
    const webhook = 'https://169.254.169.254/'
    await assert.rejects(house.applications.add({ name: 'desk', webhook }), {
      code: 'ERR_WEBHOOK_TARGET',
    })
    assert.deepEqual(await house.applications.list(), [])
  })

  it('is tested once, and what went wrong is said', async () => {
    const receiver = new Receiver(status(503))
    await house.applications.add({ name: 'desk', webhook: await receiver.open() })
    const refused = await house.applications.test('desk')
    assert.deepEqual([refused.ok, refused.status, refused.error], [false, null, 'HTTP 503'])
    assert.equal(receiver.received.length, 1)
    receiver.behaviour = hang
    const hanging = house.applications.test('desk')
    await receiver.arrived(2)
    house.timers.advance(house.limits.webhookMsMax)
    assert.match(String((await hanging).error), /no answer within/)
    await receiver.close()
    assert.match(String((await house.applications.test('desk')).error), /ECONNREFUSED/)
    await house.applications.add({ name: 'reader' })
    await assert.rejects(house.applications.test('reader'), { code: 'ERR_APPLICATION_NO_WEBHOOK' })
  })

  it('is not told anything by TLS that its webhook cannot prove', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const signer = softwareSigner(privateKey)
    const name = encodeName([])
    const now = Date.now()
    const cert = pemOf(
      await createCertificate(
        {
          serial: Uint8Array.of(1),
          issuer: name,
          subject: name,
          notBefore: now - 3_600_000,
          notAfter: now + 3_600_000,
          spki: signer.spki,
          extensions: [encodeSubjectAltName([{ kind: 'dns', value: 'localhost' }], true)],
        },
        signer,
      ),
    )
    let requests = 0
    const key = privateKey.export({ format: 'pem', type: 'pkcs8' })
    const impostor = createServer({ cert, key }, (_request, response) => {
      requests += 1
      response.end()
    })
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve))
    const address = impostor.address()
    assert.ok(typeof address === 'object' && address !== null)
    const webhook = `https://localhost:${address.port}/`
    await house.applications.add({ name: 'desk', webhook })
    const outcome = await house.applications.test('desk')
    assert.equal(outcome.ok, false)
    assert.match(String(outcome.error), /certificate|issuer/)
    assert.equal(requests, 0)
    await new Promise((resolve) => impostor.close(resolve))
  })
})
