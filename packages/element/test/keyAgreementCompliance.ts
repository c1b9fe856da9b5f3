/**
 * What every provider's key agreement must do, written against the port; part of the compliance of
 * a channel's crypto. The server's end is made with bare node:crypto by other ways than our own
 * provider's.
 */
import assert from 'node:assert/strict'
import nodeCrypto, {
  createECDH,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
} from 'node:crypto'
import { test } from 'node:test'
import { CallerError, PeerError } from '@countersign/core/errors'
import type { ChannelCrypto, EphemeralKey, GroupName } from '@countersign/core/ports'
import { type AgreementGroup, bytes, hex, wycheproof } from './vectors.ts'

interface Answer {
  readonly share: Uint8Array
  readonly secret: Uint8Array
}

interface Server {
  readonly clientShareLength: number
  readonly answer: (clientShare: Uint8Array) => Answer
}

const servers: Readonly<Record<GroupName, Server>> = {
  x25519: { clientShareLength: 32, answer: answerX25519 },
  secp256r1: { clientShareLength: 65, answer: answerP256 },
  X25519MLKEM768: { clientShareLength: 1216, answer: answerHybrid },
}

/** Wrong lengths: every one up to a point; of the hybrid the ends of its parts, and our own length. */
const wrongLengths: Readonly<Record<GroupName, readonly number[]>> = {
  x25519: [...Array(32).keys(), 33, 65],
  secp256r1: [...Array(65).keys(), 66, 129],
  X25519MLKEM768: [0, 32, 1087, 1088, 1089, 1119, 1121, 1216],
}

export function keyAgreement(crypto: ChannelCrypto): void {
  test('a point of P-256 is found by its x coordinate', () => {
    // SEC 2 §2.4.2: G, and y of its negative.
    const x = '6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296'
    const y = '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5'
    const other = 'b01cbd1c01e58065711814b583f061e9d431cca994cea1313449bf97c840ae0a'
    const found = hex(crypto.pointOfX(bytes(x)) ?? bytes(''))
    assert.ok([`04${x}${y}`, `04${x}${other}`].includes(found), found)
    // RFC 9529 §4.2: an x without a point, the order of the field; then wrong lengths.
    const wrong = [
      'a04e73601df544a70ba7ea1e57030f7d4b4eb7f673924e58d54ca77a5e7d4d4a',
      'ffffffff00000001000000000000000000000000ffffffffffffffffffffffff',
      'ffffffff00000001000000000000000000000001000000000000000000000004',
      x.slice(2),
      `${x}00`,
      x + y,
      '',
    ]
    for (const one of wrong) assert.equal(crypto.pointOfX(bytes(one)), undefined, one)
  })

  for (const group of crypto.groups) {
    test(`${group} agrees with a server on OpenSSL`, skipWithoutServer(group), () => {
      const { clientShareLength, answer } = servers[group]
      const shares = new Set<string>()
      for (let round = 0; round < 16; round++) {
        const client = crypto.generateEphemeral(group)
        assert.equal(client.group, group)
        assert.equal(client.share.length, clientShareLength)
        shares.add(hex(client.share))
        const { share, secret } = answer(client.share)
        assert.equal(agreed(client, share), hex(secret))
      }
      assert.equal(shares.size, 16, 'a share was given twice')
    })

    test(
      `${group} agrees as often as it was made for, whatever came of it`,
      skipWithoutServer(group),
      () => {
        const client = crypto.generateEphemeral(group)
        const { share } = servers[group].answer(client.share)
        client.agree(share)
        assert.throws(() => client.agree(share), CallerError)

        const failing = crypto.generateEphemeral(group)
        assert.throws(() => failing.agree(new Uint8Array(1)), badShare)
        const late = servers[group].answer(failing.share)
        assert.throws(() => failing.agree(late.share), CallerError)

        const twice = crypto.generateEphemeral(group, 2)
        for (const other of [
          servers[group].answer(twice.share),
          servers[group].answer(twice.share),
        ]) {
          assert.equal(hex(crypto.exportSecret(twice.agree(other.share))), hex(other.secret))
        }
        assert.throws(() => twice.agree(share), CallerError)
      },
    )

    test(`${group} takes no share of another length`, skipWithoutServer(group), () => {
      for (const length of wrongLengths[group]) {
        const client = crypto.generateEphemeral(group)
        const { share } = servers[group].answer(client.share)
        const other = new Uint8Array(length)
        other.set(share.subarray(0, length))
        assert.throws(() => client.agree(other), badShare, String(length))
      }
    })
  }

  if (crypto.groups.includes('x25519')) x25519(crypto)
  if (crypto.groups.includes('secp256r1')) secp256r1(crypto)
  if (crypto.groups.includes('X25519MLKEM768')) hybrid(crypto)

  function agreed(client: EphemeralKey, share: Uint8Array): string {
    return hex(crypto.exportSecret(client.agree(share)))
  }
}

function x25519(crypto: ChannelCrypto): void {
  test('a changed share of x25519 leads elsewhere; its highest bit says nothing', () => {
    for (let bit = 0; bit < 256; bit++) {
      const client = crypto.generateEphemeral('x25519')
      const { share, secret } = answerX25519(client.share)
      const found = hex(crypto.exportSecret(client.agree(flip(share, bit))))
      // RFC 7748 §5: implementations mask the most significant bit of the final byte.
      assert.equal(found === hex(secret), bit === 255, `bit ${bit}`)
    }
  })

  test('a share of x25519 of low order is refused', () => {
    for (const share of lowOrderShares()) {
      assert.throws(() => crypto.generateEphemeral('x25519').agree(share), badShare, hex(share))
    }
  })
}

function secp256r1(crypto: ChannelCrypto): void {
  const refuses = (share: Uint8Array, message: string): void =>
    assert.throws(() => crypto.generateEphemeral('secp256r1').agree(share), badShare, message)

  test('our share of secp256r1 is an uncompressed point', () => {
    for (let round = 0; round < 16; round++) {
      assert.equal(crypto.generateEphemeral('secp256r1').share[0], 4)
    }
  })

  test('a share of secp256r1 with any bit changed is no point and refused', () => {
    const share = createECDH('prime256v1').generateKeys()
    for (let bit = 0; bit < 65 * 8; bit++) refuses(flip(share, bit), `bit ${bit}`)
  })

  test('a point of secp256r1 in another form than the uncompressed is refused', () => {
    const ecdh = createECDH('prime256v1')
    ecdh.generateKeys()
    refuses(ecdh.getPublicKey(null, 'compressed'), 'compressed')
    refuses(ecdh.getPublicKey(null, 'hybrid'), 'hybrid')
    // SEC 1 §2.3.3: infinity is one octet of zero. The others are attempts to say it in 65.
    refuses(new Uint8Array(1), 'infinity')
    refuses(new Uint8Array(65), 'infinity, filled up')
    refuses(Uint8Array.of(4, ...new Uint8Array(64)), 'no coordinates')
  })

  test('a point of secp256r1 with a coordinate beyond the field is refused', () => {
    // x = 5 is on the curve, and x + p fits into 32 bytes.
    const y = '459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc'
    const x = 5n
    const at = (value: bigint): Uint8Array => bytes(`04${value.toString(16).padStart(64, '0')}${y}`)
    crypto.generateEphemeral('secp256r1').agree(at(x))
    refuses(at(x + 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n), 'x + p')
  })

  test('every share of secp256r1 that Wycheproof calls invalid is refused', () => {
    const { testGroups } = wycheproof<AgreementGroup>('ecdh_secp256r1_ecpoint_test.json')
    const invalid = testGroups.flatMap(({ tests }) => tests.filter((one) => one.result !== 'valid'))
    // TLS 1.3 has no compressed points, which are the one that Wycheproof calls acceptable.
    assert.equal(invalid.length, 25)
    for (const { tcId, public: share } of invalid) refuses(bytes(share), String(tcId))
  })
}

function hybrid(crypto: ChannelCrypto): void {
  const group = 'X25519MLKEM768'

  test(
    'a changed ciphertext of ML-KEM changes its half of the secret',
    skipWithoutServer(group),
    () => {
      for (let byte = 0; byte < 1088; byte++) {
        const client = crypto.generateEphemeral(group)
        const { share, secret } = answerHybrid(client.share)
        const found = crypto.exportSecret(client.agree(flip(share, byte * 8 + (byte & 7))))
        // FIPS 203 §6.3: rejection is implicit, so the other half is as it was.
        assert.notEqual(hex(found.subarray(0, 32)), hex(secret.subarray(0, 32)), `byte ${byte}`)
        assert.equal(hex(found.subarray(32)), hex(secret.subarray(32)), `byte ${byte}`)
      }
    },
  )

  test('a changed point of x25519 changes the other half', skipWithoutServer(group), () => {
    for (let bit = 0; bit < 255; bit++) {
      const client = crypto.generateEphemeral(group)
      const { share, secret } = answerHybrid(client.share)
      const found = crypto.exportSecret(client.agree(flip(share, 1088 * 8 + bit)))
      assert.equal(hex(found.subarray(0, 32)), hex(secret.subarray(0, 32)), `bit ${bit}`)
      assert.notEqual(hex(found.subarray(32)), hex(secret.subarray(32)), `bit ${bit}`)
    }
  })

  test('a hybrid share whose x25519 is of low order is refused', skipWithoutServer(group), () => {
    for (const point of lowOrderShares()) {
      const client = crypto.generateEphemeral(group)
      const share = Uint8Array.from(answerHybrid(client.share).share)
      share.set(point, 1088)
      assert.throws(() => client.agree(share), badShare, hex(point))
    }
  })
}

function answerX25519(clientShare: Uint8Array): Answer {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  const prefix = '302a300506032b656e032100'
  return {
    share: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
    secret: diffieHellman({ privateKey, publicKey: fromDer(prefix, clientShare) }),
  }
}

function answerP256(clientShare: Uint8Array): Answer {
  const ecdh = createECDH('prime256v1')
  return { share: ecdh.generateKeys(), secret: ecdh.computeSecret(clientShare) }
}

function answerHybrid(clientShare: Uint8Array): Answer {
  // SubjectPublicKeyInfo of ML-KEM-768 up to the encapsulation key (RFC 9935).
  const prefix = '308204b2300b0609608648016503040402038204a100'
  const key = fromDer(prefix, clientShare.subarray(0, 1184))
  const { sharedKey, ciphertext } = nodeCrypto.encapsulate(key)
  const classic = answerX25519(clientShare.subarray(1184))
  return {
    share: Buffer.concat([ciphertext, classic.share]),
    secret: Buffer.concat([sharedKey, classic.secret]),
  }
}

function fromDer(prefix: string, key: Uint8Array): ReturnType<typeof createPublicKey> {
  const spki = Buffer.concat([bytes(prefix), key])
  return createPublicKey({ key: spki, format: 'der', type: 'spki' })
}

/** The X25519 shares of Wycheproof that lead to a secret of zeros. */
function lowOrderShares(): readonly Uint8Array[] {
  const { testGroups } = wycheproof<AgreementGroup>('x25519_test.json')
  const low = testGroups.flatMap(({ tests }) =>
    tests.filter(({ flags }) => flags.includes('ZeroSharedSecret')),
  )
  assert.ok(low.length > 12)
  return low.map((one) => bytes(one.public))
}

function flip(data: Uint8Array, bit: number): Uint8Array {
  const flipped = Uint8Array.from(data)
  flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return flipped
}

/** `{ skip: reason }` when this Node has no server for the group; a failure when PEERS=required. */
function skipWithoutServer(group: GroupName): { readonly skip: string | false } {
  if (group !== 'X25519MLKEM768' || 'encapsulate' in nodeCrypto) return { skip: false }
  const reason = 'this Node has no ML-KEM to answer with'
  assert.notEqual(process.env['PEERS'], 'required', reason)
  return { skip: reason }
}

function badShare(error: unknown): boolean {
  return error instanceof PeerError && error.code === 'ERR_KEY_SHARE'
}
