/** A handshake in which something is changed, missing, of another, or of oneself. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { cbor, fromHex, hex } from '@countersign/core/codec'
import {
  answerTo,
  answerToMessage1,
  ComposeMessage2,
  type ComposeMessage3,
  type EadItem,
  encodeError,
  Initiator,
  type OwnCredential,
  Responder,
  suitesOf,
  type TrustedCredential,
  type WaitMessage3,
} from '@countersign/core/edhoc'
import { AdapterError, CallerError, PeerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { type Script, scriptOf } from './parties.ts'
import { printed, traceOf } from './rfc9529.ts'
import { accepted, withPlaintext2 } from './stages.ts'

/** Every method, with the short names of certificates; and claims sets by kid. */
const each = ['rfc9529-3', ...[0, 1, 2, 3].map((method) => `m${method}-s2-x5t-c-14`)].map((id) =>
  scriptOf(id),
)

const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof PeerError && error.code === code

interface Underway {
  readonly compose3: ComposeMessage3
  readonly wait3: WaitMessage3
}

async function untilMessage3(script: Script): Promise<Underway> {
  const { message1, next } = new Initiator(script.initiator).send()
  const compose2 = new Responder(script.responder).receive(message1)
  const { message2, next: wait3 } = await compose2.send({ own: script.R.own, cR: script.cR })
  return { compose3: await accepted(next, message2, script.R.trusted), wait3 }
}

function* flips(bytes: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    yield flipped
  }
}

for (const script of each) {
  const [m1, m2, m3, m4] = script.messages.map((text) => fromHex(text))
  assert.ok(m1 && m2 && m3 && m4)
  const answer = { own: script.R.own, cR: script.cR }

  describe(`${script.id}: with any bit changed`, () => {
    test('message_1 leads to no message_2 that the initiator takes', async () => {
      let answered = 0
      for (const flipped of flips(m1)) {
        const { next } = new Initiator(script.initiator).send()
        const compose2 = orRefused(() => new Responder(script.responder).receive(flipped))
        if (compose2 === undefined) continue
        const sent = await compose2.send(answer).catch(onlyOurs)
        if (sent === undefined) continue
        answered++
        await assert.rejects(accepted(next, sent.message2, script.R.trusted), PeerError)
      }
      // Half of the x coordinates are points, and C_I can be any.
      assert.ok(answered > 90, `${answered} answers`)
    })

    test('message_2 is refused before anything of the initiator is shown', async () => {
      for (const flipped of flips(m2)) {
        const { next } = new Initiator(script.initiator).send()
        await assert.rejects(accepted(next, flipped, script.R.trusted), PeerError)
      }
    })

    test('message_3 and message_4 are refused', async () => {
      for (const flipped of flips(m3)) {
        const { next } = await responderAfter(script)
        assert.throws(() => next.receive(flipped), PeerError)
      }
      for (const flipped of flips(m4)) {
        const { compose3 } = await untilMessage3(script)
        const { next } = await compose3.send()
        assert.throws(() => next.receive(flipped), PeerError)
      }
    })
  })

  describe(`${script.id}: the peer`, () => {
    test('that shows another credential than the trusted one is refused', async () => {
      const other = strangerLike(script.R.trusted)
      const { next } = new Initiator(script.initiator).send()
      await assert.rejects(accepted(next, m2, other), hasCode('ERR_EDHOC_PROOF'))

      const { compose3, wait3 } = await untilMessage3(script)
      const { message3 } = await compose3.send()
      const stranger = strangerLike(script.I.trusted)
      assert.throws(() => wait3.receive(message3).accept(stranger), hasCode('ERR_EDHOC_PROOF'))
    })

    test('is found among several that have its name, up to a limit', async () => {
      const strangers = [1, 2, 3].map(() => strangerLike(script.R.trusted))
      const { next } = new Initiator(script.initiator).send()
      const compose3 = await accepted(next, m2, ...strangers, script.R.trusted)
      const { message3, next: unconfirmed } = await compose3.send()
      assert.equal(hex(message3), hex(m3))
      assert.deepEqual(unconfirmed.session.peer, script.R.trusted)

      const { next: again } = new Initiator(script.initiator).send()
      const nobody = accepted(again, m2, ...strangers)
      await assert.rejects(nobody, hasCode('ERR_EDHOC_PROOF'))
      const { next: none } = new Initiator(script.initiator).send()
      await assert.rejects(accepted(none, m2), hasCode('ERR_EDHOC_PROOF'))
      const { next: last } = new Initiator(script.initiator).send()
      await assert.rejects(accepted(last, m2, ...strangers, ...strangers), CallerError)
    })

    test('whose key is trusted with other bytes around it is refused', async () => {
      // CRED_x is covered: a certificate issued anew for the same key is another credential.
      const credential = cbor.byteString(fromHex('3000'))
      const { next } = new Initiator(script.initiator).send()
      const peer = { ...script.R.trusted, credential }
      await assert.rejects(accepted(next, m2, peer), hasCode('ERR_EDHOC_PROOF'))
    })

    test('that is trusted for the other kind of key is refused', async () => {
      const { next } = new Initiator(script.initiator).send()
      const other = otherKind(script.R.trusted)
      await assert.rejects(accepted(next, m2, other), hasCode('ERR_EDHOC_CREDENTIAL'))
    })

    test('that shows our own credential is refused', async () => {
      const { next } = new Initiator(script.initiator).send()
      const own = { ...script.R.trusted, credential: script.I.own.credential }
      await assert.rejects(accepted(next, m2, own), hasCode('ERR_EDHOC_CREDENTIAL'))
    })
  })
}

async function responderAfter(
  script: Script,
): Promise<{ readonly message2: Uint8Array; readonly next: WaitMessage3 }> {
  const { message1 } = new Initiator(script.initiator).send()
  const compose2 = new Responder(script.responder).receive(message1)
  return compose2.send({ own: script.R.own, cR: script.cR })
}

function strangerLike(trusted: TrustedCredential): TrustedCredential {
  const { credential } = trusted
  if (trusted.kind === 'static key') {
    const { share } = nodeCrypto.generateEphemeral('secp256r1')
    return { kind: 'static key', credential, g: share.slice(1, 33) }
  }
  return { kind: 'signature', credential, key: strangersKey('P-256') }
}

function otherKind({ kind, credential }: TrustedCredential): TrustedCredential {
  return kind === 'signature'
    ? { kind: 'static key', credential, g: new Uint8Array(32) }
    : { kind: 'signature', credential, key: strangersKey('P-256') }
}

function strangersKey(curve: 'P-256' | 'P-384'): ReturnType<typeof nodeCrypto.importPublicKey> {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: curve })
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
  return nodeCrypto.importPublicKey(spki, { kind: 'ec', curve })
}

function orRefused<Value>(step: () => Value): Value | undefined {
  try {
    return step()
  } catch (error) {
    assert.ok(error instanceof PeerError, String(error))
    return undefined
  }
}

/** G_X without a point, or a C_I that became our C_R. */
function onlyOurs(error: unknown): undefined {
  const isIdentifier = error instanceof CallerError && error.code === 'ERR_EDHOC_IDENTIFIER'
  assert.ok(error instanceof PeerError || isIdentifier, String(error))
}

/** A handshake in which one message carries these items; neither side knows a label. */
async function withEad(number: 1 | 2 | 3 | 4, items: readonly EadItem[]): Promise<Seen> {
  const script = scriptOf('m0-s2-x5t-c-14')
  const inMessage = (which: number): readonly EadItem[] => (which === number ? items : [])
  const { message1, next: wait2 } = new Initiator(script.initiator).send(inMessage(1))
  const compose2 = new Responder(script.responder).receive(message1)
  const answer = { own: script.R.own, cR: script.cR, ead: inMessage(2) }
  const { message2, next: wait3 } = await compose2.send(answer)
  const judgeR = await wait2.receive(message2)
  const { message3, next } = await (await judgeR.accept(script.R.trusted)).send(inMessage(3))
  const judgeI = wait3.receive(message3)
  const { ead } = next.receive(judgeI.accept(script.I.trusted).message4(inMessage(4)))
  return [compose2.ead, judgeR.ead, judgeI.ead, ead]
}

type Seen = readonly (readonly EadItem[])[]

test('a critical item of authorization data that nobody knows ends the handshake', async () => {
  const value = undefined
  for (const number of [1, 2, 3, 4] as const) {
    const critical = [{ label: 9, isCritical: true, value }]
    await assert.rejects(withEad(number, critical), hasCode('ERR_EDHOC_EAD'))
    // One that is not critical is passed over, as padding is; both are covered by the transcript.
    const others = [
      { label: 9, isCritical: false, value },
      { label: 0, isCritical: false, value: new Uint8Array(7) },
    ]
    assert.deepEqual(await withEad(number, others), [[], [], [], []])
  }
})

describe('the answer', () => {
  test('to a suite that is not accepted is the one of RFC 9529', () => {
    const trace = traceOf('rfc9529-3')
    const first = fromHex(trace.steps.find(({ name }) => name === 'message_1')?.hex ?? '')
    const { suites } = scriptOf('rfc9529-3').responder
    const options = { crypto: nodeCrypto, methods: [3], suites } as const
    const refused = caught(() => new Responder(options).receive(first))
    assert.ok(hasCode('ERR_EDHOC_SUITE')(refused))
    const answer = answerToMessage1(refused, first, suites)
    assert.equal(hex(encodeError(answer)), hex(printed(trace, 'error')))
  })

  test('to anything else says no more than it has to', async () => {
    const { messages, responder } = scriptOf('m0-s2-x5t-c-14')
    const message1 = fromHex(messages[0])
    const noMethod = caught(() => new Responder({ ...responder, methods: [1] }).receive(message1))
    const said = answerToMessage1(noMethod, message1, responder.suites)
    assert.deepEqual(said, { kind: 'unspecified', text: 'method not supported' })
    const { initiator, R } = scriptOf('m0-s2-x5t-c-14')
    const { next } = new Initiator(initiator).send()
    const judged = accepted(next, fromHex(messages[1]), strangerLike(R.trusted))
    const noProof = await judged.catch((error: unknown) => error)
    assert.deepEqual(answerTo(noProof), { kind: 'unspecified', text: 'message refused' })
    assert.deepEqual(answerTo(new Error('disk full')), { kind: 'unspecified', text: 'not now' })
  })

  test('of a responder that gives up comes out as what it says', async () => {
    for (const [error, details] of [
      ['01626e6f', { kind: 'unspecified', text: 'no' }],
      ['02820203', { kind: 'wrong suite', suitesR: '2, 3' }],
      ['03f5', { kind: 'unknown credential' }],
    ] as const) {
      const { next } = new Initiator(scriptOf('m0-s2-x5t-c-14').initiator).send()
      const thrown = await next.receive(fromHex(error)).catch((reason: unknown) => reason)
      assert.ok(thrown instanceof PeerError && thrown.code === 'ERR_EDHOC_PEER')
      const said = Object.entries(thrown.details).filter(([, value]) => value !== undefined)
      assert.deepEqual(Object.fromEntries(said), details)
    }
  })
})

function caught(step: () => unknown): unknown {
  try {
    step()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}

describe('this side', () => {
  const script = scriptOf('m0-s2-x5t-c-14')
  const { own } = script.I
  assert.ok(own.kind === 'signature')

  test('cannot begin with a credential of another kind or another form of signature', () => {
    const misfits: readonly OwnCredential[] = [
      scriptOf('m3-s2-x5t-c-14').I.own,
      { ...own, signer: { ...own.signer, scheme: { kind: 'ed25519' } } },
      {
        ...own,
        signer: { ...own.signer, scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'der' } },
      },
    ]
    for (const misfit of misfits) {
      const begin = (): unknown => new Initiator({ ...script.initiator, own: misfit })
      const thrown = caught(begin)
      assert.ok(thrown instanceof CallerError && thrown.code === 'ERR_EDHOC_CREDENTIAL')
    }
  })

  test('cannot answer with the connection identifier of the initiator', async () => {
    const compose2 = new Responder(script.responder).receive(fromHex(script.messages[0]))
    assert.ok(compose2 instanceof ComposeMessage2)
    const reject = { code: 'ERR_EDHOC_IDENTIFIER' }
    await assert.rejects(compose2.send({ own: script.R.own, cR: compose2.cI }), reject)
  })

  test('refuses a responder that took the connection identifier of the initiator', async () => {
    // RFC 9529 §3: C_I is 37, and PLAINTEXT_2 begins with C_R.
    const { next } = new Initiator(scriptOf('rfc9529-3').initiator).send()
    const plaintext2 = printed(traceOf('rfc9529-3'), 'PLAINTEXT_2')
    plaintext2[0] = 0x37
    const received = next.receive(withPlaintext2(plaintext2))
    await assert.rejects(received, hasCode('ERR_EDHOC_MESSAGE'))
  })

  test('hears of an element that does not sign, or signs something of another length', async () => {
    for (const sign of [
      async (): Promise<Uint8Array> => assert.fail('busy'),
      async (): Promise<Uint8Array> => new Uint8Array(70),
    ]) {
      const failing: OwnCredential = { ...own, signer: { ...own.signer, sign } }
      const initiator = { ...script.initiator, own: failing }
      const { compose3 } = await untilMessage3({ ...script, initiator })
      await assert.rejects(
        compose3.send(),
        (error) => error instanceof AdapterError && error.code === 'ERR_EDHOC_SIGNER',
      )
    }
  })

  test('takes no key of another curve for a signature of its suite', async () => {
    const { next } = new Initiator(script.initiator).send()
    const peer = {
      kind: 'signature',
      credential: script.R.trusted.credential,
      key: strangersKey('P-384'),
    } as const
    const judge = await next.receive(fromHex(script.messages[1]))
    await assert.rejects(judge.accept(peer), hasCode('ERR_EDHOC_PROOF'))
  })

  test('answers a downgrade of the offered suites with an error', () => {
    // Both ends have suite 3, which the initiator prefers; someone has it select 2.
    const message1 = fromHex(`00820302${script.messages[0].slice(4)}`)
    const suites = suitesOf(nodeCrypto).filter(({ number }) => number === 2 || number === 3)
    const responder = new Responder({ ...script.responder, suites })
    const refused = caught(() => responder.receive(message1))
    assert.ok(hasCode('ERR_EDHOC_SUITE')(refused))
    assert.equal(hex(encodeError(answerToMessage1(refused, message1, suites))), '0203')
  })
})

test('without prescribed keys two handshakes share nothing', async () => {
  const { ephemeral: _, ...initiator } = scriptOf('m1-s2-x5t-c-14').initiator
  const { ephemeral: __, ...responder } = scriptOf('m1-s2-x5t-c-14').responder
  const script = { ...scriptOf('m1-s2-x5t-c-14'), initiator, responder }
  const seen = new Set<string>()
  for (let round = 0; round < 2; round++) {
    const { compose3, wait3 } = await untilMessage3(script)
    const { message3, next } = await compose3.send()
    const authenticated = wait3.receive(message3).accept(script.I.trusted)
    next.receive(authenticated.message4())
    const secret = authenticated.session.prkOut.export(0, new Uint8Array(), 16)
    seen.add(hex(nodeCrypto.exportSecret(secret)))
    assert.equal(
      hex(nodeCrypto.exportSecret(next.session.prkOut.export(0, new Uint8Array(), 16))),
      hex(nodeCrypto.exportSecret(secret)),
    )
  }
  assert.equal(seen.size, 2)
})
