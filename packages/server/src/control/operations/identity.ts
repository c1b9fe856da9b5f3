/**
 * Devices: invitations, look-ups and moves of the life cycle. The registry decides; this makes
 * documents of what it says.
 */
import { z } from 'zod'
import type { DeviceState } from '../../ports.ts'
import { deviceStates } from '../contract.ts'
import {
  certificateDocument,
  deviceDocument,
  invitationDocument,
  keyDocument,
  rfc3339,
} from './documents.ts'
import { parameterError, revocationReason, type Table, text, time } from './operation.ts'
import { deviceUrls, serverAnchor } from './serverFacts.ts'

/** Rows of one answer: what a line of the control socket holds with room to spare. */
const listRowsMax = 1000
const inviteCountMax = 1_000_000

const state: z.ZodType<DeviceState> = z.enum(deviceStates)

const id = z.strictObject({ id: text })

type Names =
  | 'identity.invite'
  | 'identity.invitations'
  | 'identity.uninvite'
  | 'identity.list'
  | 'identity.show'
  | 'identity.suspend'
  | 'identity.resume'
  | 'identity.revoke'
  | 'identity.retire'
  | 'identity.why'

export const identityOperations: Table<Names> = {
  'identity.invite': {
    params: z.strictObject({
      product: text,
      count: z.number().int().min(1).max(inviteCountMax),
      expiresAt: time,
      serial: text.optional(),
    }),
    run: async (house, { product, count, expiresAt, serial }) => {
      if (expiresAt <= house.clock.now()) {
        throw parameterError(
          '--expires',
          'the invitation would have expired already',
          'Give a time ahead of now, or a duration such as 1h.',
        )
      }
      const { token, id: tokenId } = await house.registry.invite({
        product,
        count,
        expiresAt,
        ...(serial === undefined ? {} : { serial }),
      })
      return {
        token,
        ...deviceUrls(house),
        anchor: await serverAnchor(house),
        id: tokenId,
        product,
        count,
        expires: rfc3339(expiresAt),
      }
    },
  },
  'identity.invitations': {
    params: z.strictObject({
      after: text.optional(),
      limit: z.number().int().min(1).max(listRowsMax),
    }),
    run: async (house, page) =>
      (await house.registry.invitations({ ...page, open: true })).map(invitationDocument),
  },
  'identity.uninvite': {
    params: id,
    run: async (house, params) =>
      invitationDocument(await house.registry.withdrawInvitation(params.id)),
  },
  'identity.list': {
    params: z.strictObject({
      state: state.optional(),
      product: text.optional(),
      after: text.optional(),
      limit: z.number().int().min(1).max(listRowsMax),
    }),
    run: async (house, filter) => (await house.registry.list(filter)).map(deviceDocument),
  },
  'identity.show': {
    params: id,
    run: async (house, params) => {
      const device = await house.registry.find(params.id)
      const certificates = await house.registry.certificatesOf(device.id)
      const keys = await house.registry.keysOf(device.id)
      return {
        ...deviceDocument(device),
        certificates: certificates.map(certificateDocument),
        keys: keys.map(keyDocument),
      }
    },
  },
  'identity.suspend': {
    params: z.strictObject({ id: text, reason: text.optional() }),
    run: async (house, params) => {
      const device = await house.registry.find(params.id)
      return deviceDocument(await house.registry.suspend(device.id, params.reason ?? 'operator'))
    },
  },
  'identity.resume': {
    params: id,
    run: async (house, params) => {
      const device = await house.registry.find(params.id)
      return deviceDocument(await house.registry.resume(device.id))
    },
  },
  'identity.revoke': {
    params: z.strictObject({ id: text, reason: revocationReason }),
    run: async (house, params) => {
      const device = await house.registry.find(params.id)
      return deviceDocument(await house.registry.revoke(device.id, params.reason))
    },
  },
  'identity.retire': {
    params: id,
    run: async (house, params) => {
      const device = await house.registry.find(params.id)
      return deviceDocument(await house.registry.retire(device.id))
    },
  },
  'identity.why': {
    params: id,
    run: async (house, params) => ({ ...(await house.registry.why(params.id)) }),
  },
}
