import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CallerError } from '@countersign/core/errors'
import { mergeConfig, parseAddress, parseConfigFile } from '../../src/config.ts'

function refusal(text: string): CallerError {
  try {
    parseConfigFile(text, '/data/config.json')
  } catch (error) {
    assert.ok(error instanceof CallerError)
    assert.equal(error.code, 'ERR_CONFIG')
    return error
  }
  return assert.fail(`accepted: ${text}`)
}

describe('config.json', () => {
  it('an empty document gives loopback doors and localhost names', () => {
    const config = mergeConfig(parseConfigFile('{}', 'x'), {})
    assert.deepEqual(config.listen.https, { host: '127.0.0.1', port: 8444 })
    assert.deepEqual(config.listen.coap, { host: '127.0.0.1', port: 5683 })
    assert.deepEqual(config.hosts, ['localhost', '127.0.0.1', '::1'])
  })

  it('an unknown key is refused by its path, with the keys that exist', () => {
    const error = refusal('{"webhooks":{"trustedHost":["a"]}}')
    assert.match(error.message, /"webhooks\.trustedHost"/)
    assert.match(error.hint ?? '', /webhooks\.trustedHosts/)
    assert.equal(error.where, '/data/config.json')
    assert.match(refusal('{"crlbase":"http://x/crl"}').message, /"crlbase"/)
  })

  it('a path that was written as one key is told to be an object', () => {
    const error = refusal('{"listen.mqtts":"127.0.0.1:8883"}')
    assert.match(error.message, /unknown key "listen\.mqtts"/)
    assert.equal(error.hint, '"listen" is an object of its own: "listen": {"mqtts": …}.')
    assert.match(refusal('{"listen.mqttz":"1"}').hint ?? '', /^Known keys: /)
    assert.match(refusal('{"listen":{"listen.mqtts":"1"}}').hint ?? '', /listen/)
  })

  it('a value of the wrong kind is refused by its path', () => {
    assert.match(refusal('{"listen":{"https":"nowhere"}}').message, /listen\.https.*port/)
    assert.match(refusal('{"logLevel":"loud"}').message, /logLevel/)
    assert.match(refusal('{"hosts":["a b"]}').message, /hosts\.0/)
    assert.match(refusal('{"crlBase":"ftp://x"}').message, /crlBase/)
    assert.match(refusal('{').message, /not JSON/)
    refusal('[]')
    refusal('null')
  })

  it('a flag wins over the file, the file over the default', () => {
    const file = parseConfigFile('{"listen":{"https":"0.0.0.0:1","console":"[::1]:2"}}', 'x')
    const config = mergeConfig(file, { listen: ['https=127.0.0.1:0'], logLevel: 'debug' })
    assert.deepEqual(config.listen.https, { host: '127.0.0.1', port: 0 })
    assert.deepEqual(config.listen.console, { host: '::1', port: 2 })
    assert.equal(config.logLevel, 'debug')
    const coap = mergeConfig(parseConfigFile('{"listen":{"coap":"0.0.0.0:1"}}', 'x'), {
      listen: ['coap=[::]:5683'],
    })
    assert.deepEqual(coap.listen.coap, { host: '::', port: 5683 })
  })

  it('a door that does not exist is wrong usage and the doors are named', () => {
    for (const listen of ['mqttz=127.0.0.1:1', 'https', '=1', 'https=']) {
      assert.throws(
        () => mergeConfig({}, { listen: [listen] }),
        (error) => error instanceof CallerError && error.code === 'ERR_USAGE',
        listen,
      )
    }
  })

  it('addresses are host:port, bracketed IPv6, or a port of loopback', () => {
    assert.deepEqual(parseAddress('8444', 'x'), { host: '127.0.0.1', port: 8444 })
    assert.deepEqual(parseAddress('[::]:1', 'x'), { host: '::', port: 1 })
    assert.deepEqual(parseAddress('iot.example.com:443', 'x'), {
      host: 'iot.example.com',
      port: 443,
    })
    for (const bad of ['', ':1', 'a:65536', 'a:-1', 'a:', '1.2.3.4', 'a b:1', 'a:1:', '-a:1']) {
      assert.throws(() => parseAddress(bad, 'x'), CallerError, bad)
    }
  })
})
