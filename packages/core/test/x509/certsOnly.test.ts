/** Certs-only messages (RFC 7030 §4.1.3): both ways with OpenSSL and pkijs, and what breaks one. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { compareBytes, concat, der, fromHex, parsePem, pem } from '@countersign/core/codec'
import { encodeCertsOnly, parseCertsOnly, pkcsOid } from '@countersign/core/credential'
import { ContentInfo, SignedData } from 'pkijs'
import { certificateOf } from './shapes.ts'
import {
  appendixC,
  needsOpenssl,
  neverCrashes,
  openssl,
  opensslBytes,
  refuses,
  temporaryFolder,
} from './support.ts'

const certificates = appendixC()
  .filter(({ id }) => id !== 'C.4')
  .map(({ der: bytes }) => bytes)
const sorted = certificates.toSorted(compareBytes)

test('OpenSSL reads ours', needsOpenssl(), () => {
  const file = `${temporaryFolder()}/p7`
  writeFileSync(file, encodeCertsOnly(certificates))
  const read = openssl(['pkcs7', '-inform', 'DER', '-in', file, '-print_certs']).toString()
  assert.deepEqual(
    parsePem(read).map(({ der: bytes }) => bytes),
    sorted,
  )
})

test('pkijs reads ours', () => {
  const content = ContentInfo.fromBER(new Uint8Array(encodeCertsOnly(certificates)))
  const signed = new SignedData({ schema: content.content })
  assert.equal(signed.version, 1)
  assert.equal(signed.certificates?.length, 3)
  assert.equal(signed.signerInfos.length, 0)
})

test("we read OpenSSL's, in whatever order, and our own", needsOpenssl(), () => {
  const folder = temporaryFolder()
  const options: string[] = []
  for (const [index, bytes] of certificates.entries()) {
    writeFileSync(`${folder}/${index}`, pem('CERTIFICATE', bytes))
    options.push('-certfile', `${folder}/${index}`)
  }
  const made = opensslBytes(['crl2pkcs7', '-nocrl', '-outform', 'DER', ...options])
  assert.deepEqual(parseCertsOnly(made).toSorted(compareBytes), sorted)
  assert.deepEqual(parseCertsOnly(encodeCertsOnly(certificates)), sorted)
})

test('anything but certificates is refused', () => {
  const one = certificateOf({})
  const signed = (shape: {
    version?: Uint8Array
    digests?: Uint8Array
    content?: Uint8Array
    rest?: readonly Uint8Array[]
    type?: string
  }) =>
    der.sequence(
      der.oid(shape.type ?? pkcsOid.signedData),
      der.explicit(
        0,
        der.sequence(
          shape.version ?? der.integer(1),
          shape.digests ?? der.setOf(),
          shape.content ?? der.sequence(der.oid(pkcsOid.data)),
          ...(shape.rest ?? [der.explicit(0, one), der.setOf()]),
        ),
      ),
    )
  assert.deepEqual(parseCertsOnly(signed({})), [one])
  assert.deepEqual(
    parseCertsOnly(signed({ rest: [der.explicit(0, one), der.explicit(1), der.setOf()] })),
    [one],
  )
  const digest = der.setOf(der.sequence(der.oid('2.16.840.1.101.3.4.2.1')))
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [signed({ type: pkcsOid.data }), 'ERR_X509_SYNTAX'],
    [signed({ version: der.integer(3) }), 'ERR_X509_SYNTAX'],
    [signed({ digests: digest }), 'ERR_DER_TRAILING'],
    [signed({ content: der.sequence(der.oid('1.2.3')) }), 'ERR_X509_SYNTAX'],
    [
      signed({ content: der.sequence(der.oid(pkcsOid.data), der.explicit(0, der.octetString())) }),
      'ERR_DER_TRAILING',
    ],
    [signed({ rest: [der.setOf()] }), 'ERR_DER_TAG'],
    [signed({ rest: [der.explicit(0), der.setOf()] }), 'ERR_X509_SYNTAX'],
    [
      signed({ rest: [der.explicit(0, der.explicit(1, fromHex('0500'))), der.setOf()] }),
      'ERR_DER_TAG',
    ],
    [signed({ rest: [der.explicit(0, one), der.setOf(der.sequence())] }), 'ERR_DER_TRAILING'],
    [
      signed({ rest: [der.explicit(0, one), der.explicit(1, one), der.setOf()] }),
      'ERR_DER_TRAILING',
    ],
    [signed({ rest: [der.explicit(0, one)] }), 'ERR_DER_TRUNCATED'],
    [
      signed({ rest: [der.explicit(0, ...Array.from({ length: 65 }, () => one)), der.setOf()] }),
      'ERR_X509_LIMIT',
    ],
    [concat(signed({}), Uint8Array.of(0)), 'ERR_DER_TRAILING'],
    [der.octetString(new Uint8Array(1024 * 1024)), 'ERR_DER_SIZE'],
  ]
  for (const [bytes, code] of cases) refuses(() => parseCertsOnly(bytes), code)
})

test('each bit flipped and each length cut is read or refused, never a crash', () => {
  const whole = encodeCertsOnly([certificateOf({})])
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const bent = whole.slice()
    bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    neverCrashes(() => parseCertsOnly(bent), `bit ${bit}`)
  }
  for (let length = 0; length < whole.length; length++) {
    assert.equal(
      neverCrashes(() => parseCertsOnly(whole.subarray(0, length)), `cut ${length}`),
      false,
    )
  }
})
