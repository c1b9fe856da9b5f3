/**
 * Runs the receiver's check of docs/application/README.md as it stands there, on the example of
 * Standard Webhooks.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const page = new URL('../../../../docs/application/README.md', import.meta.url)

// https://www.standardwebhooks.com: the symmetric signature of its specification's example.
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const body = '{"test": 2432232314}'
const headers = {
  'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  'webhook-timestamp': '1614265330',
  'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
}

type Given = Readonly<Record<string, string | undefined>>
type IsSigned = (given: Given, body: string) => boolean

test('the check of a webhook that the page shows takes what was signed, and nothing else', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Number(headers['webhook-timestamp']) * 1000 })
  const [, code = ''] = /^```js\n([\s\S]*?)^```$/m.exec(readFileSync(page, 'utf8')) ?? []
  const text = `const secret = '${secret}'\n${code}\nexport { isSigned }`
  const module: { isSigned: IsSigned } = await import(
    `data:text/javascript,${encodeURIComponent(text)}`
  )
  const { isSigned } = module
  assert.equal(isSigned(headers, body), true)
  assert.equal(isSigned(headers, `${body} `), false)
  assert.equal(isSigned({ ...headers, 'webhook-id': 'msg_other' }, body), false)
  assert.equal(isSigned({ ...headers, 'webhook-signature': undefined }, body), false)
  t.mock.timers.tick(300_000)
  assert.equal(isSigned(headers, body), false)
})
