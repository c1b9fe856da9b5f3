/** What a server staples to its certificate (RFC 8446 §4.4.2.1): good, telling against it, or nonsense. */
import { suite, test } from 'node:test'
import { parseCertificate } from '@countersign/core/credential'
import {
  answer,
  byName,
  certId,
  good,
  ocspResponse,
  refusal,
  revoked,
  unknown,
} from '../../../../../fuzz/ocspResponses.ts'
import { day, now } from '../../judge/world.ts'
import { extension, field, lay, sized, u8 } from '../puppetBytes.ts'
import * as steps from '../puppetSteps.ts'
import { clientCa, identity, issuingCa, rootCa } from '../puppetWorld.ts'
import { assertOpen, assertRefused, type Talk, talk } from './conversation.ts'

const leaf = parseCertificate(identity.chain[0] ?? new Uint8Array())

interface Told {
  readonly status?: Uint8Array
  readonly thisUpdate?: number
  readonly nextUpdate?: number
  readonly by?: typeof issuingCa
}

function staple({
  status = good,
  thisUpdate,
  nextUpdate,
  by = issuingCa,
}: Told): Promise<Uint8Array> {
  const told = answer({
    certId: certId(leaf, issuingCa.certificate, 'sha1'),
    status,
    thisUpdate: thisUpdate ?? now - day,
    nextUpdate: nextUpdate ?? now + day,
    extensions: [],
  })
  return ocspResponse(
    {
      responder: byName(by.certificate),
      producedAt: now - day,
      answers: [told],
      extensions: [],
      certificates: [],
    },
    by.signer,
  )
}

function stapled(response: Uint8Array, type = 1): Promise<Talk> {
  const body = lay(field('status type', u8(type)), sized('response', 3, response))
  const shown = steps.certificate(([first, ...others]) =>
    first === undefined
      ? []
      : [{ ...first, extensions: [extension('status_request', 5, body)] }, ...others],
  )
  return talk({ flights: [steps.fullFlight.toSpliced(4, 1, shown)] })
}

suite('a staple', () => {
  test('that is good and of these days is taken', async () => {
    assertOpen(await stapled(await staple({})))
  })

  test('that says revoked ends it, however old the word is', async () => {
    const expected = { alert: 'certificate_revoked', code: 'ERR_CERT_REVOKED' }
    assertRefused(await stapled(await staple({ status: revoked(now - day) })), expected)
    const old = { thisUpdate: now - 3 * day, nextUpdate: now - 2 * day }
    assertRefused(await stapled(await staple({ status: revoked(now - 4 * day), ...old })), expected)
  })

  test('that is stale, of tomorrow, or knows nothing is no clearance', async () => {
    const alert = 'bad_certificate_status_response'
    const stale = { alert, code: 'ERR_OCSP_STALE' }
    assertRefused(
      await stapled(await staple({ thisUpdate: now - 2 * day, nextUpdate: now - day })),
      stale,
    )
    assertRefused(await stapled(await staple({ thisUpdate: now + day })), stale)
    const unusable = { alert, code: 'ERR_OCSP_UNUSABLE' }
    assertRefused(await stapled(await staple({ status: unknown })), unusable)
    assertRefused(await stapled(refusal(3)), unusable)
  })

  test('by another authority is worth nothing', async () => {
    const unusable = { alert: 'bad_certificate_status_response', code: 'ERR_OCSP_UNUSABLE' }
    for (const by of [rootCa, clientCa])
      assertRefused(await stapled(await staple({ by })), unusable)
  })

  test('that is no response at all, or of another type, is refused', async () => {
    const unusable = { alert: 'bad_certificate_status_response', code: 'ERR_OCSP_UNUSABLE' }
    assertRefused(await stapled(Buffer.from('no DER')), unusable)
    const illegal = { alert: 'illegal_parameter', code: 'ERR_TLS_ILLEGAL_PARAMETER' }
    assertRefused(await stapled(await staple({}), 2), illegal)
    const empty = { alert: 'decode_error', code: 'ERR_TLS_DECODE' }
    assertRefused(await stapled(Buffer.alloc(0)), empty)
  })
})
