/** OpenSSL's word on the certificates and responses that the peers are given. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { openssl } from './openssl.ts'
import { makePki, type Pki } from './pki.ts'

describe('the PKI of the peers', { skip: openssl.missing() }, () => {
  let pki: Pki
  before(() => {
    pki = makePki()
  })
  after(() => pki.remove())

  it('has servers and clients that are right', () => {
    for (const { leaf } of Object.values(pki.server)) assert.match(serverVerdict(leaf), /: OK$/m)
    for (const { leaf } of Object.values(pki.client)) assert.match(clientVerdict(leaf), /: OK$/m)
  })

  it('has servers with one thing wrong each', () => {
    const expected = {
      expired: /has expired/,
      otherName: /hostname mismatch/,
      // For OpenSSL no stated purpose is every purpose.
      noPurpose: /: OK$/m,
      clientPurpose: /unsuitable certificate purpose/,
      unknownCa: /unable to get local issuer certificate/,
      selfSigned: /self-signed certificate/,
      leafAsCa: /invalid CA certificate/,
    }
    for (const [fault, { leaf, chain }] of Object.entries(pki.wrongServer))
      assert.match(serverVerdict(leaf, chain), expected[fault as keyof typeof expected], fault)
  })

  it('has clients with one thing wrong each', () => {
    const { expired, serverPurpose, unknownCa } = pki.wrongClient
    assert.match(clientVerdict(expired.leaf), /has expired/)
    assert.match(clientVerdict(serverPurpose.leaf), /unsuitable certificate purpose/)
    assert.match(clientVerdict(unknownCa.leaf), /unable to get local issuer certificate/)
  })

  it('has responses of the issuing CA, and of its delegate', () => {
    for (const status of ['good', 'revoked'] as const)
      for (const signer of ['issuer', 'delegate'] as const) {
        const about = ['-issuer', pki.serverCa, '-cert', pki.server.p256.leaf]
        const trust = ['-CAfile', pki.serverCa, '-partial_chain']
        const said = ask('ocsp', '-respin', pki.staple(status, signer), ...about, ...trust)
        assert.match(said, /^Response verify OK$/m)
        assert.match(said, new RegExp(`: ${status}$`, 'm'))
      }
  })

  function serverVerdict(leaf: string, chain: string = leaf): string {
    const wanted = ['-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'localhost']
    const trust = ['-partial_chain', '-CAfile', pki.serverCa, '-untrusted', chain]
    return ask('verify', ...wanted, ...trust, leaf)
  }

  function clientVerdict(leaf: string): string {
    return ask('verify', '-purpose', 'sslclient', '-CAfile', pki.clientAnchors, leaf)
  }
})

function ask(...args: readonly string[]): string {
  const { stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
  return stdout + stderr
}
