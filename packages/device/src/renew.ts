/**
 * Renewal (RFC 7030 §4.2.2): a new key in another slot, asked for under the certificate in use,
 * and taken into use only after the server has let the device in with it. Each step is written down
 * first, so that a crash is continued and not repeated.
 */
import { type CertificateReport, describe, leafOf } from './certificate.ts'
import { systemWorld } from './compose.ts'
import { simpleEnroll } from './est.ts'
import { judgeAnswer } from './httpsRoad.ts'
import { Link } from './link.ts'
import { readProblem } from './problem.ts'
import { Later } from './retry.ts'
import { nextSlot } from './slots.ts'
import { type DeviceState, openState, requireEnrolled } from './state/folder.ts'
import type { Listener, World } from './world.ts'

export interface RenewOptions {
  readonly state: string
  readonly listener?: Listener
  readonly world?: World
}

/**
 * Renews now, whatever the calendar says; the server may find it too early.
 * @example await renew({ state: './countersign-device' })
 */
export async function renew(options: RenewOptions): Promise<CertificateReport> {
  const world = options.world ?? systemWorld()
  const state = await openState(options.state, world, { create: false })
  const link = new Link(state, world, options.listener ?? (() => undefined))
  try {
    return await renewOver(link, state)
  } finally {
    link.close()
    await state.close()
  }
}

/** One whole renewal, or the rest of one that was interrupted. */
export async function renewOver(link: Link, state: DeviceState): Promise<CertificateReport> {
  const { current } = requireEnrolled(state.folder, state.identity)
  const pending = await preparePending(state, current.slot)
  const certificates = pending.certificates ?? (await askForCertificate(link, state, pending.slot))
  const next = { slot: pending.slot, certificates }
  await proveItWorks(link, state, next)
  const { identity } = requireEnrolled(state.folder, state.identity)
  await state.save({ ...identity, current: next, pending: undefined })
  return describe(certificates)
}

async function preparePending(
  state: DeviceState,
  slotInUse: number,
): Promise<{ slot: number; certificates: string | undefined }> {
  const { identity } = requireEnrolled(state.folder, state.identity)
  const slots = await state.element.slots()
  const begun = identity.pending
  const holdsKey = slots.some(({ slot, state: held }) => slot === begun?.slot && held === 'key')
  if (begun !== undefined && holdsKey) return begun
  const next = await nextSlot(state.element, slotInUse)
  const pending = { slot: next.slot, certificates: undefined }
  if (next.slot !== slotInUse) await state.element.generateKey(next.slot)
  await state.save({ ...identity, pending })
  return pending
}

async function askForCertificate(link: Link, state: DeviceState, slot: number): Promise<string> {
  const { identity, current } = requireEnrolled(state.folder, state.identity)
  const leaf = leafOf(current.certificates)
  const certificates = await simpleEnroll(link, {
    operation: 'simplereenroll',
    element: state.element,
    slot,
    // RFC 7030 §4.2.2: subject and SAN are those of the certificate that is renewed.
    subject: leaf.subject.rdns.flat().map(({ type, text }) => ({ type, value: text ?? '' })),
    altNames: leaf.extensions.subjectAltName ?? [],
    token: undefined,
  })
  await state.save({ ...identity, pending: { slot, certificates } })
  return certificates
}

/**
 * The server judges a certificate at the first request; an admitted device may always ask for the
 * CA certificates.
 */
async function proveItWorks(
  link: Link,
  state: DeviceState,
  next: { slot: number; certificates: string },
): Promise<void> {
  const connection = await link.connectAs(next)
  try {
    const answer = await connection.ask({ method: 'GET', path: '/.well-known/est/cacerts' })
    if (answer.status === 200) return
    const outcome = judgeAnswer(answer)
    if (outcome.kind === 'later') {
      throw new Later(
        'the server cannot admit this device with its new certificate now',
        outcome.problem,
        outcome.afterMs,
        'The present certificate stays in use; the renewal goes on where it was.',
      )
    }
    // A new certificate that is not let in is worth nothing: the next renewal starts afresh.
    const { identity } = requireEnrolled(state.folder, state.identity)
    await state.save({ ...identity, pending: undefined })
    throw link.refusal(readProblem(answer))
  } finally {
    connection.close()
  }
}
