/**
 * The verifier of an ATECC608's statements: every byte, every voucher, every bit. The statements come
 * from a foreign program; see atecc608World.ts.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { suite, test } from 'node:test'
import { encodeAtecc608Evidence, parseAtecc608Evidence } from '@countersign/core/attestation'
import { fromHex } from '@countersign/core/codec'
import { der, evidence, makerKey, outcome, vectors, verify } from './atecc608World.ts'

suite('what travels', () => {
  test('the evidence is read as it was composed, and written as it was read', () => {
    const read = parseAtecc608Evidence(evidence)
    const { nonce, slot, publicKey, attestationSlot, message, signature, revision } = read
    assert.deepEqual(
      [nonce, publicKey, message, signature, revision],
      [vectors.nonce, vectors.publicKey, vectors.message, vectors.signature, vectors.revision].map(
        fromHex,
      ),
    )
    assert.deepEqual([slot, attestationSlot], [vectors.slot, vectors.attestationSlot])
    assert.deepEqual(encodeAtecc608Evidence(read), evidence)
  })

  test('cut anywhere, or with a byte behind it, it is malformed', () => {
    for (let length = 0; length < evidence.length; length++) {
      assert.equal(outcome(evidence.subarray(0, length)), 'ERR_ATTESTATION_MALFORMED', `${length}`)
    }
    const longer = new Uint8Array([...evidence, 0])
    assert.equal(outcome(longer), 'ERR_ATTESTATION_MALFORMED')
  })

  test('with any bit flipped it is refused, unless the bit is of the revision, which is nobody’s word', () => {
    const revisionFrom = evidence.length - 4
    for (let bit = 0; bit < evidence.length * 8; bit++) {
      const bent = Uint8Array.from(evidence)
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const found = outcome(bent)
      if (bit >> 3 >= revisionFrom) assert.equal(found, 'level 3')
      else assert.match(found, /^ERR_ATTESTATION_/, `bit ${bit}`)
    }
  })
})

suite('what travels of a chip that drew a number', () => {
  const overRandom = fromHex(vectors.overRandom)

  test('is read as it was composed, and written as it was read', () => {
    const read = parseAtecc608Evidence(overRandom)
    assert.deepEqual(read.randOut, fromHex(vectors.randOut))
    assert.deepEqual(read.nonce, fromHex(vectors.nonce))
    assert.deepEqual(encodeAtecc608Evidence(read), overRandom)
    assert.equal(parseAtecc608Evidence(evidence).randOut, undefined)
  })

  test('is level 3 as the other', () => {
    assert.equal(outcome(overRandom), 'level 3')
  })

  test('cut anywhere it is malformed', () => {
    for (let length = 0; length < overRandom.length; length++) {
      const cut = overRandom.subarray(0, length)
      assert.equal(outcome(cut), 'ERR_ATTESTATION_MALFORMED', `${length}`)
    }
  })

  test('with any bit flipped it is refused, but for those of the revision', () => {
    // Behind the revision stand the two octets of a head and the number.
    const revision = overRandom.length - 34 - 4
    for (let bit = 0; bit < overRandom.length * 8; bit++) {
      const bent = Uint8Array.from(overRandom)
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const found = outcome(bent)
      if (bit >> 3 >= revision && bit >> 3 < revision + 4) assert.equal(found, 'level 3')
      else assert.match(found, /^ERR_ATTESTATION_/, `bit ${bit}`)
    }
  })

  test('of version 1 with a number, or of version 2 without, it is malformed', () => {
    const version = 6
    assert.equal(overRandom[version], 2)
    const asFirst = overRandom.with(version, 1)
    assert.equal(outcome(asFirst), 'ERR_ATTESTATION_MALFORMED')
    assert.equal(evidence[version - 1], 1)
    assert.equal(outcome(evidence.with(version - 1, 2)), 'ERR_ATTESTATION_MALFORMED')
    assert.equal(outcome(evidence.with(version - 1, 3)), 'ERR_ATTESTATION_MALFORMED')
  })
})

suite('a good statement', () => {
  test('under a configured root is level 3, with element, slot and root named', () => {
    const verdict = verify(evidence)
    assert.equal(verdict.level, 3)
    assert.equal(verdict.serial, vectors.serial)
    assert.equal(verdict.slot, vectors.slot)
    assert.equal(verdict.voucher?.kind, 'root')
    assert.ok(verdict.reasons.some((reason) => reason.includes('not locked by itself')))
    const locked = verify(fromHex(vectors.lockedSlot))
    assert.ok(locked.reasons.some((reason) => reason.endsWith(' is locked.')))
  })

  test('is one whether or not GenKey keeps the source of TempKey', () => {
    assert.equal(outcome(fromHex(vectors.withoutSource)), 'level 3')
  })

  test('under a CA below that root is level 3 too', () => {
    const chain = ['leafUnderMiddle', 'middle']
    assert.equal(outcome(evidence, { chain }), 'level 3')
    assert.equal(outcome(evidence, { chain: chain.toReversed() }), 'level 3')
  })

  test('under a root that nobody configured is level 0, and no error', () => {
    for (const roots of [[], ['otherRoot'], ['emulatorRoot']]) {
      const verdict = verify(evidence, { roots })
      assert.equal(verdict.level, 0)
      assert.equal(verdict.voucher, undefined)
      assert.match(verdict.reasons.join(' '), /not known here/)
    }
  })

  test('without a certificate and without a manifest is level 0', () => {
    assert.equal(outcome(evidence, { chain: [] }), 'level 0')
  })
})

suite('the word of the maker', () => {
  test('the key of the attestation slot in a manifest stands for the certificate', () => {
    const verdict = verify(evidence, { chain: [], roots: [], makerKeys: [makerKey] })
    assert.equal(verdict.level, 3)
    assert.deepEqual(verdict.voucher, { kind: 'manifest', signer: makerKey.signer })
  })

  test('of another serial number, another slot, or a part that we do not know, it says nothing', () => {
    const others = [
      { ...makerKey, serial: '0123deadbeef0001ee' },
      { ...makerKey, slot: 0 },
      { ...makerKey, partNumber: 'ATECC608B-TCSM' },
    ]
    for (const other of others) {
      assert.equal(outcome(evidence, { chain: [], makerKeys: [other] }), 'level 0')
    }
  })

  test('a manifest that names another key for that slot makes the statement a forgery', () => {
    const forged = { ...makerKey, point: fromHex(vectors.otherPublicKey) }
    assert.equal(outcome(evidence, { makerKeys: [forged] }), 'ERR_ATTESTATION_SIGNATURE')
  })

  test('the better of manifest and certificates counts, whichever it is', () => {
    const emulated = { ...makerKey, isEmulated: true }
    const { level, voucher } = verify(evidence, { makerKeys: [emulated] })
    assert.deepEqual([level, voucher?.kind], [3, 'root'])
    const emulator = { chain: ['emulatorLeaf'], roots: ['emulatorRoot'] }
    const better = verify(evidence, { ...emulator, makerKeys: [makerKey] })
    assert.deepEqual([better.level, better.voucher?.kind], [3, 'manifest'])
  })

  test('what the operator lets one give counts for which is better', () => {
    const root = createHash('sha256').update(der('root')).digest('hex')
    const caps = [
      [makerKey.signer, 1],
      [root, 2],
    ] as const
    const makerKeys = [makerKey]
    const { level, voucher, reasons } = verify(evidence, { makerKeys, caps: new Map(caps) })
    assert.deepEqual([level, voucher?.kind], [2, 'root'])
    assert.match(reasons.join(' '), /gives 2 at most/)
    assert.equal(outcome(evidence, { makerKeys, caps: new Map(caps.slice(0, 1)) }), 'level 3')
    const alone = { chain: [], roots: [], makerKeys, caps: new Map(caps) }
    assert.equal(outcome(evidence, alone), 'level 1')
  })

  test('one that is worth less makes no forgery of what good certificates stand behind', () => {
    const other = { ...makerKey, point: fromHex(vectors.otherPublicKey), isEmulated: true }
    assert.equal(outcome(evidence, { makerKeys: [other] }), 'level 3')
    const emulator = { chain: ['emulatorLeaf'], roots: ['emulatorRoot'] }
    const refused = outcome(evidence, { ...emulator, makerKeys: [other] })
    assert.equal(refused, 'ERR_ATTESTATION_SIGNATURE')
    const stranger = { roots: ['otherRoot'], makerKeys: [other] }
    assert.equal(outcome(evidence, stranger), 'ERR_ATTESTATION_SIGNATURE')
  })

  test('certificates that are wrong take nothing from it', () => {
    const makerKeys = [{ ...makerKey, isEmulated: true }]
    assert.equal(outcome(evidence, { chain: ['leafWithoutPurpose'], makerKeys }), 'level 1')
  })

  test('a manifest of an emulator is capped as its works are', () => {
    const makerKeys = [{ ...makerKey, isEmulated: true }]
    assert.equal(outcome(evidence, { chain: [], makerKeys }), 'level 1')
    assert.equal(outcome(evidence, { chain: [], makerKeys, isDemo: true }), 'level 3')
  })
})

suite('an emulator', () => {
  const emulator = { chain: ['emulatorLeaf'], roots: ['emulatorRoot'] }

  test('is level 1 whoever configured its root, and 3 where demo plays', () => {
    assert.equal(outcome(evidence, emulator), 'level 1')
    assert.equal(outcome(evidence, { ...emulator, isDemo: true }), 'level 3')
  })

  test('is capped by its own certificate when its root was made again without the purpose', () => {
    assert.equal(outcome(evidence, { ...emulator, roots: ['washedEmulatorRoot'] }), 'level 1')
  })

  test('cannot issue under its root what passes for a chip', () => {
    const chain = ['disguisedEmulatorLeaf']
    assert.equal(outcome(evidence, { chain, roots: ['emulatorRoot'] }), 'ERR_ATTESTATION_CHAIN')
  })

  test('is one also when a CA between has the purpose', () => {
    const chain = ['leafUnderMiddle', 'emulatorMiddle']
    assert.equal(outcome(evidence, { chain }), 'level 1')
  })
})

suite('refused', () => {
  test('an old nonce', () => {
    const nonce = fromHex(vectors.otherNonce)
    assert.equal(outcome(evidence, { nonce }), 'ERR_ATTESTATION_NONCE')
  })

  test('another key than the request has', () => {
    const publicKey = fromHex(vectors.otherPublicKey)
    assert.equal(outcome(evidence, { publicKey }), 'ERR_ATTESTATION_KEY')
  })

  test('statements that are well signed and no statement about this key', () => {
    for (const [what, bytes] of Object.entries(vectors.wrong)) {
      assert.equal(outcome(fromHex(bytes)), 'ERR_ATTESTATION_STATEMENT', what)
    }
  })

  test('each of the 55 bytes turned over and signed anew', () => {
    assert.equal(vectors.changedBytes.length, 55)
    for (const { byte, evidence: bytes } of vectors.changedBytes) {
      // The second byte of KeyConfig decides nothing; these of the serial number GenKey does not digest.
      const isFree = (byte >= 44 && byte <= 47) || byte === 50 || byte === 51
      let wanted = isFree ? 'ERR_ATTESTATION_CHAIN' : 'ERR_ATTESTATION_STATEMENT'
      if (byte >= 36 && byte <= 38) wanted = 'ERR_ATTESTATION_CONFIG'
      if (byte === 39) wanted = 'level 3'
      assert.equal(outcome(fromHex(bytes)), wanted, `byte ${byte}`)
    }
  })

  test('each bit of the configuration that decides, and no other', () => {
    // SlotConfig: external sign, secret, PrivWrite. KeyConfig: private, and the three of the type.
    const decisive = { slot_config: [0, 7, 14], key_config: [0, 2, 3, 4] }
    assert.equal(vectors.configurations.length, 32)
    for (const { field, bit, evidence: bytes } of vectors.configurations) {
      const wanted = decisive[field].includes(bit) ? 'ERR_ATTESTATION_CONFIG' : 'level 3'
      assert.equal(outcome(fromHex(bytes)), wanted, `${field} bit ${bit}`)
    }
  })

  test('signed by a stranger, also where the root is not known', () => {
    const bytes = fromHex(vectors.signedByStranger)
    assert.equal(outcome(bytes), 'ERR_ATTESTATION_SIGNATURE')
    assert.equal(outcome(bytes, { roots: [] }), 'ERR_ATTESTATION_SIGNATURE')
  })

  test('a key that speaks for itself', () => {
    const bytes = fromHex(vectors.signedByItself)
    const chain = ['leafOfDeviceKey']
    assert.equal(outcome(bytes, { chain }), 'ERR_ATTESTATION_KEY')
    const self = { ...makerKey, point: fromHex(vectors.publicKey) }
    assert.equal(outcome(bytes, { chain: [], makerKeys: [self] }), 'ERR_ATTESTATION_KEY')
  })

  test('another element than its certificate names', () => {
    assert.equal(outcome(fromHex(vectors.otherSerial)), 'ERR_ATTESTATION_CHAIN')
    assert.equal(outcome(evidence, { chain: ['leafOfOther'] }), 'ERR_ATTESTATION_CHAIN')
  })

  test('certificates that lead to a known root and do not hold', () => {
    const chains = [
      ['leafWithoutPurpose'],
      ['leafForTls'],
      ['leafExpired'],
      ['leaf', 'leafOfOther'],
      ['middle'],
      ['leaf', 'root', 'middle', 'otherRoot', 'emulatorRoot'],
    ]
    for (const chain of chains) {
      assert.equal(outcome(evidence, { chain }), 'ERR_ATTESTATION_CHAIN', chain.join(' '))
    }
    for (const root of ['rootForTls', 'sameNamedRoot']) {
      assert.equal(outcome(evidence, { roots: [root] }), 'ERR_ATTESTATION_CHAIN', root)
    }
  })
})
