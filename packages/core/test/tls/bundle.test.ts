/** What a device carries of core: the TLS client and the judge, and nothing that it has no use for. */
import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import { type Bundle, bundleClient } from './bundle.ts'

/** `npm run bench -- clientSize` shows what they are made of. */
const bundleBytesMax = 104_000

suite('the bundle of the TLS client and its judge', () => {
  let bundle: Bundle
  before(async () => {
    bundle = await bundleClient()
  })

  test('it imports nothing, and names nothing that Node or a browser adds to the language', () => {
    assert.deepEqual(bundle.imports, [])
    const foreign =
      /\b(?:node:|Buffer|process|require|globalThis|TextEncoder|TextDecoder|setTimeout|console|atob|btoa)\b/
    assert.doesNotMatch(bundle.text, foreign)
  })

  test('it holds core alone, without what writes certificates, reads requests and lists', () => {
    const paths = bundle.modules.map(([path]) => path)
    assert.ok(paths.includes('packages/core/src/tls/client.ts'))
    assert.deepEqual(
      paths.filter((path) => !path.startsWith('packages/core/src/')),
      [],
    )
    const useless = /\/(?:encode|derWriter|pem|base64|json|certsOnly|parseRequest|parseList)/
    assert.deepEqual(
      paths.filter((path) => useless.test(path)),
      [],
    )
  })

  test(`it has no more than ${bundleBytesMax} bytes, the same ones each time`, async () => {
    const { length } = Buffer.from(bundle.text)
    assert.ok(length <= bundleBytesMax, `${length} bytes`)
    assert.equal((await bundleClient()).text, bundle.text)
  })

  test('it runs as it is', async () => {
    const url = `data:text/javascript;base64,${Buffer.from(bundle.text).toString('base64')}`
    const { TlsClient, trustPinned } = (await import(url)) as Record<string, unknown>
    assert.ok(typeof TlsClient === 'function' && typeof trustPinned === 'function')
  })
})
