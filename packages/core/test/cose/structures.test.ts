/** What is signed, sealed and authenticated, against RFC 9052 §4.4, §5.3, §6.3. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { fromHex, hex, utf8 } from '../../src/codec/index.ts'
import {
  aeadAlgorithm,
  encStructure,
  macStructure,
  noBytes,
  sigStructure,
} from '../../src/cose/index.ts'

const payload = utf8('This is the content.')

// cose-wg/Examples, sign1-tests/sign-pass-01 and sign-pass-02: ToBeSign_hex.
test('Sig_structure is an array of context, protected headers, external data, payload', () => {
  assert.equal(
    hex(sigStructure({ protectedMap: noBytes, externalAad: noBytes, payload })),
    '846a5369676e617475726531404054546869732069732074686520636f6e74656e742e',
  )
  assert.equal(
    hex(
      sigStructure({
        protectedMap: fromHex('a10126'),
        externalAad: fromHex('11aa22bb33cc44dd55006699'),
        payload,
      }),
    ),
    '846a5369676e61747572653143a101264c11aa22bb33cc44dd5500669954546869732069732074686520636f6e74656e742e',
  )
})

// RFC 8613 Appendix C.4: the AAD of the request.
test('Enc_structure is an array of context, protected headers, external data', () => {
  assert.equal(
    hex(encStructure({ protectedMap: noBytes, externalAad: fromHex('8501810a40411440') })),
    '8368456e63727970743040488501810a40411440',
  )
})

/** RFC 9529 §2.5: TH_3, K_3, IV_3, PLAINTEXT_3, CIPHERTEXT_3 of the trace with signatures. */
const trace = {
  th3: '5b7df9b4f58f240ce0418e48191b5fff3a22b5ca57f669b16777996592e928bc',
  key: 'da195e5f648ac63b0e8fb0c455205139',
  nonce: '38d8c64c56255affa449f4bed7',
  plaintext:
    'a11822822e48c24ab2fd7643c79f584096e1cd5fceadfac1b5af819443f70924f5719955957fd02655be' +
    'b4775e1a73186a0d1d3ea683f08f8d03dcecb9cf154e1c6f555a1e12ca118ce42bdba6878907',
  ciphertext:
    '25c345884aaaeb22c527f9b1d2b6787207e0163c69b62a0d43928150427203c31674e4514ea6e383b566' +
    'eb29763efeb0afa518776ae1c65f856d84bf32af3a7836970466dcb71f76745d39d3025e7703e0c032ebad51947c',
} as const

test('CIPHERTEXT_3 of RFC 9529 is sealed with the Enc_structure of TH_3', () => {
  const externalAad = fromHex(trace.th3)
  const aad = encStructure({ protectedMap: noBytes, externalAad })
  assert.equal(hex(aad), `8368456e637279707430405820${trace.th3}`)
  const { aead } = aeadAlgorithm(10, 'suite 0')
  const key = nodeCrypto.importSecret(fromHex(trace.key))
  const nonce = fromHex(trace.nonce)
  const sealed = nodeCrypto.seal(aead, key, nonce, aad, fromHex(trace.plaintext))
  assert.equal(hex(sealed), trace.ciphertext)
})

// cose-wg/Examples, mac0-tests/HMac-01: ToMac_hex.
test('MAC_structure has the payload in it', () => {
  assert.equal(
    hex(macStructure({ protectedMap: fromHex('a10105'), externalAad: noBytes, payload })),
    '84644d41433043a101054054546869732069732074686520636f6e74656e742e',
  )
})
