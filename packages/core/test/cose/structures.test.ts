/** What is signed, sealed and authenticated, against RFC 9052 §4.4, §5.3, §6.3. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, hex, utf8 } from '../../src/codec/index.ts'
import { encStructure, macStructure, noBytes, sigStructure } from '../../src/cose/index.ts'

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

test('MAC_structure has the payload in it', () => {
  assert.equal(
    hex(macStructure({ protectedMap: fromHex('a10105'), externalAad: noBytes, payload })),
    '84644d41433043a101054054546869732069732074686520636f6e74656e742e',
  )
})
