/** Why the server may not let this device in, as far as the device itself can see. */
import { PeerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import { leafOf } from './certificate.ts'
import type { DeviceErrorCode } from './errors.ts'
import type { Problem } from './problem.ts'
import { type DeviceState, requireEnrolled } from './state/folder.ts'
import type { World } from './world.ts'

const refusalHint =
  'On the server "countersign identity why" says why: a suspended device can be resumed there, a revoked one enrols as a new one, with a new invitation, a new serial number and an empty state folder.'

/** What the code of a refusal says more of than that there is one. */
const hints: ReadonlyMap<string, string> = new Map([
  [
    'ERR_ROAD_NOT_ALLOWED',
    'The product of this device does not take this road: choose another --road, or have it allowed on the server with "countersign product set".',
  ],
])

function datesHint(now: Milliseconds, notAfter: Milliseconds): string {
  const clock = `the clock of this machine says ${new Date(now).toISOString()}`
  const end = `Its certificate is valid until ${new Date(notAfter).toISOString()}, and ${clock}`
  return `${end}: set the clock if that is wrong; an expired device enrols as a new one, with a new invitation, a new serial number and an empty state folder.`
}

export function refusalOf(
  state: DeviceState,
  world: World,
  problem: Problem,
): PeerError<DeviceErrorCode> {
  const { current } = requireEnrolled(state.folder, state.identity)
  const { notBefore, notAfter } = leafOf(current.certificates)
  const now = world.clock.now()
  return new PeerError(
    'ERR_DEVICE_REFUSED',
    `the server refuses this device: ${problem.message}`,
    { status: problem.status, code: problem.code },
    {
      hint:
        now < notBefore || now > notAfter
          ? datesHint(now, notAfter)
          : (hints.get(problem.code ?? '') ?? refusalHint),
    },
  )
}
