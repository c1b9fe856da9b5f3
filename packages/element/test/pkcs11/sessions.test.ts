/** One session for one operation, so many at a time, and what waits. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { openPkcs11Element } from '../../src/drivers/pkcs11/index.ts'
import { CryptokiError } from '../../src/drivers/pkcs11/returnValues.ts'
import { waitingMax } from '../../src/drivers/pkcs11/sessions.ts'
import { assertSigns, digest } from './signs.ts'
import { changing, skip, softTokens } from './softhsm.ts'

function keepTheTurn(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

suite('the sessions of a token', { skip }, () => {
  const make = softTokens()

  test('no session carries two operations at once, and there are four at most', async () => {
    const token = make('pool')
    const inUse = new Set<string>()
    const seen = new Set<string>()
    const load = changing((call, args, real) => {
      if (call !== 'sign') return real()
      const session = (args[0] as Buffer).toString('hex')
      assert.ok(!inUse.has(session))
      inUse.add(session)
      seen.add(session)
      // Slow enough for a token that is never called directly.
      return new Promise((resolve) => setImmediate(resolve))
        .then(real)
        .then(async (signature) => {
          const late = performance.now() + 2
          while (performance.now() < late) await new Promise((resolve) => setImmediate(resolve))
          return signature
        })
        .finally(() => inUse.delete(session))
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    await element.generateKey(0)
    seen.clear()
    await Promise.all(Array.from({ length: 60 }, () => assertSigns(element)))
    assert.equal(seen.size, 4)
    await element.close()
  })

  test('a token with one session serves everybody, one behind the other', async () => {
    const token = make('narrow')
    let open = 0
    const load = changing((call, _, real) => {
      if (call === 'openSession' && open === 1) throw new CryptokiError('C_OpenSession', 0xb1)
      if (call === 'openSession') open++
      if (call === 'closeSession') open--
      return real()
    })
    token.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'key', '--id', '01')
    const element = await openPkcs11Element(token.url('key'), { load })
    await Promise.all(Array.from({ length: 40 }, () => assertSigns(element)))
    await element.close()
  })

  // tpm2-pkcs11 holds a lock of the token while it signs, and C_SignInit waits for it in this thread.
  test('a library that does one thing at a time is asked for one at a time', async () => {
    const token = make('one-lock')
    let [inUse, waits] = [0, 0]
    const load = changing((call, _, real) => {
      if (call !== 'sign') return real()
      if (inUse > 0) {
        waits++
        keepTheTurn(2)
      }
      inUse++
      return new Promise((resolve) => setImmediate(resolve))
        .then(real)
        .then(async (signature) => {
          const late = performance.now() + 2
          while (performance.now() < late) await new Promise((resolve) => setImmediate(resolve))
          return signature
        })
        .finally(() => inUse--)
    })
    const element = await openPkcs11Element(token.url('key'), { load })
    await element.generateKey(0)
    await Promise.all(Array.from({ length: 100 }, () => assertSigns(element)))
    // Three to learn it, and those that were under way.
    assert.ok(waits >= 3 && waits <= 10, `${waits} waited`)
    await element.close()
  })

  test('more than a token can ever do is refused at once', async () => {
    const token = make('flood')
    const { promise: held, resolve: release } = Promise.withResolvers<void>()
    let isSlow = false
    const load = changing((call, _, real) =>
      call === 'sign' && isSlow ? held.then(() => real()) : real(),
    )
    const element = await openPkcs11Element(token.url('key'), { load })
    await element.generateKey(0)
    isSlow = true
    const asked = Array.from({ length: waitingMax + 5 }, () => element.sign(0, digest))
    await assert.rejects(asked.at(-1) ?? Promise.resolve(), { code: 'ERR_ELEMENT_BUSY' })
    release()
    const outcomes = await Promise.allSettled(asked)
    assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 1)
    await element.close()
  })

  test('what waits when the element is closed is told so', async () => {
    const token = make('closing')
    const element = await openPkcs11Element(token.url('key'))
    await element.generateKey(0)
    const asked = Array.from({ length: 20 }, () => element.sign(0, digest))
    await element.close()
    const outcomes = await Promise.allSettled(asked)
    for (const one of outcomes) {
      if (one.status === 'rejected') assert.equal(one.reason.code, 'ERR_ELEMENT_GONE')
    }
    await assert.rejects(element.sign(0, digest), { code: 'ERR_ELEMENT_GONE' })
  })
})
