/**
 * The life of a device as one table: which move is legal from where, who may make it, and what it
 * does to certificates, live sessions and downlinks. Everything that changes a device's state asks
 * here.
 */
import { CallerError, PeerError } from '@countersign/core/errors'
import type { DeviceRow, DeviceState, RegistryErrorCode } from '../ports.ts'
import { remedyOf } from './remedies.ts'

export type Move =
  | 'personalize'
  | 'enroll'
  | 'activate'
  | 'suspend'
  | 'resume'
  | 'revoke'
  | 'retire'

export type MoveActor = 'operator' | 'device' | 'system' | 'authority'

export interface Rule {
  readonly from: readonly DeviceState[]
  /** `back`: to the state that the device was suspended in. */
  readonly to: DeviceState | 'back'
  readonly by: readonly MoveActor[]
  readonly certificates: 'keep' | 'revoke'
  readonly sessions: 'keep' | 'end'
  /** What becomes of commands that wait for the device. */
  readonly downlinks: 'deliver' | 'hold' | 'drop'
}

const living: readonly DeviceState[] = ['manufactured', 'personalized', 'enrolled', 'active']

export const lifecycle: Readonly<Record<Move, Rule>> = {
  personalize: {
    from: ['manufactured'],
    to: 'personalized',
    by: ['authority'],
    certificates: 'keep',
    sessions: 'keep',
    downlinks: 'hold',
  },
  // A software device, or one of a foreign maker, is enrolled without our own factory having seen
  // it.
  enroll: {
    from: ['manufactured', 'personalized'],
    to: 'enrolled',
    by: ['authority'],
    certificates: 'keep',
    sessions: 'keep',
    downlinks: 'hold',
  },
  // `personalized`: a factory certificate of this house counts as enrolled at its first accepted
  // handshake.
  activate: {
    from: ['personalized', 'enrolled'],
    to: 'active',
    by: ['device'],
    certificates: 'keep',
    sessions: 'keep',
    downlinks: 'deliver',
  },
  suspend: {
    from: living,
    to: 'suspended',
    by: ['operator', 'system'],
    certificates: 'keep',
    sessions: 'end',
    downlinks: 'hold',
  },
  resume: {
    from: ['suspended'],
    to: 'back',
    by: ['operator'],
    certificates: 'keep',
    sessions: 'keep',
    downlinks: 'deliver',
  },
  revoke: {
    from: [...living, 'suspended'],
    to: 'revoked',
    by: ['operator', 'system'],
    certificates: 'revoke',
    sessions: 'end',
    downlinks: 'drop',
  },
  retire: {
    from: [...living, 'suspended'],
    to: 'retired',
    by: ['operator'],
    certificates: 'revoke',
    sessions: 'end',
    downlinks: 'drop',
  },
}

/** The row after the move. Throws ERR_DEVICE_STATE when the table has no such move. */
export function moved(
  device: DeviceRow,
  move: Move,
  by: MoveActor,
  reason: string | null,
): DeviceRow {
  const rule = lifecycle[move]
  if (!rule.by.includes(by) || !rule.from.includes(device.state)) throw illegal(device, move, by)
  const state = rule.to === 'back' ? device.resumeState : rule.to
  if (state === null) throw illegal(device, move, by)
  const resumeState = move === 'suspend' ? device.state : null
  return { ...device, state, reason, resumeState, version: device.version + 1 }
}

export function isLegal(state: DeviceState, move: Move): boolean {
  return lifecycle[move].from.includes(state)
}

function illegal(device: DeviceRow, move: Move, by: MoveActor): CallerError<RegistryErrorCode> {
  const legal = Object.entries(lifecycle)
    .filter(([, rule]) => rule.from.includes(device.state) && rule.by.includes(by))
    .map(([name]) => name)
  return new CallerError(
    'ERR_DEVICE_STATE',
    `a device that is ${device.state} cannot be moved by ${move}`,
    { device: device.id, state: device.state, move, by },
    {
      where: device.id,
      hint:
        legal.length === 0
          ? `${device.state} is final.`
          : `From ${device.state} the ${by} may: ${legal.join(', ')}.`,
    },
  )
}

/** What becomes of commands for a device in this state: as the move says that led there. */
export function downlinksIn(state: DeviceState): Rule['downlinks'] {
  const moves = Object.values(lifecycle)
  return moves.find(({ to }) => to === state)?.downlinks ?? 'hold'
}

/** What a device in this state hears when it knocks; undefined: it may come in. */
export function stateRefusal(device: DeviceRow): PeerError<RegistryErrorCode> | undefined {
  const code = refusedStates[device.state]
  if (code === undefined) return undefined
  const reason = device.reason === null ? '' : ` (${device.reason})`
  return new PeerError(
    code,
    `the device is ${device.state}${reason}`,
    { device: device.id, state: device.state },
    { where: `device ${device.id}: state`, hint: remedyOf(code) },
  )
}

/** Whether a device is turned away with this code for its state alone. */
export function isStateRefusal(code: string): boolean {
  return Object.values(refusedStates).some((refused) => refused === code)
}

/**
 * Throws for a device that may get no certificate. One that is only reserved may: that is how it
 * comes to be.
 */
export function requireEnrollable(device: DeviceRow): void {
  const refused = device.state === 'manufactured' ? undefined : stateRefusal(device)
  if (refused !== undefined) throw refused
}

const refusedStates: Readonly<Partial<Record<DeviceState, RegistryErrorCode>>> = {
  manufactured: 'ERR_DEVICE_STATE',
  suspended: 'ERR_DEVICE_SUSPENDED',
  revoked: 'ERR_DEVICE_REVOKED',
  retired: 'ERR_DEVICE_RETIRED',
}
