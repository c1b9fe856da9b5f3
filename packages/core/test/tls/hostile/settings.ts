/** The conversations that families of faults are made of, and what they share. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Judge } from '@countersign/core/credential'
import {
  type ResumableSession,
  type ServerTrust,
  trustAnchors,
  trustPinned,
} from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import type { PuppetTicket } from '../puppet.ts'
import { extension, sized, u16 } from '../puppetBytes.ts'
import { groupIds } from '../puppetKeys.ts'
import * as steps from '../puppetSteps.ts'
import { anchor, host, issuingCa } from '../puppetWorld.ts'
import { clock, opened, policy } from './conversation.ts'
import type { Setting } from './families.ts'

/** A server that asks who the client is. */
export const full: Setting = {}

/** Tickets of the puppets; a puppet takes one as often as it is shown. */
export const tickets = new Map<string, PuppetTicket>()

export async function freshSession(): Promise<ResumableSession> {
  const [session] = (await opened([steps.ticket()], { tickets })).sessions
  assert.ok(session !== undefined)
  return session
}

export async function resumed(): Promise<Setting> {
  const session = await freshSession()
  return { puppet: { flights: [steps.resumedFlight], tickets }, options: { session } }
}

/** Another group and a cookie; the second flight is a full one. */
export const retried: Setting = {
  puppet: {
    group: groupIds.secp256r1,
    flights: [
      [steps.retry(groupIds.secp256r1, steps.adding(steps.cookie(Buffer.from('cookie'))))],
      steps.fullFlight,
    ],
  },
}

/** Each extension that EncryptedExtensions and CertificateRequest may carry, an unknown one too. */
const serverNameTaken = extension('server_name', 0, Buffer.alloc(0))
const groupsLiked = extension('supported_groups', 10, sized('groups', 2, u16(groupIds.x25519)))
const alpn = extension('alpn', 16, sized('protocols', 2, sized('protocol', 1, Buffer.from('h2'))))
const recordLimit = extension('record_size_limit', 28, u16(16_385))
const authority = sized('name', 2, Buffer.from('3000', 'hex'))
const authorities = extension('certificate_authorities', 47, sized('names', 2, authority))
const unknown = extension('unknown', 0xfafa, Buffer.from('what?'))

export const talkative: Setting = {
  puppet: {
    flights: [
      [
        steps.serverHello(),
        steps.encryptedExtensions(serverNameTaken, groupsLiked, alpn, recordLimit),
        steps.certificateRequest([steps.askedSchemes, authorities, unknown]),
        steps.certificate(),
        steps.certificateVerify(),
        steps.finished(),
      ],
    ],
  },
  options: { policy: { ...policy, alpn: ['h2', 'mqtt'] } },
}

/** Judges that remember nothing from one conversation to the next. */
export const knownAnchor: ServerTrust = (presented) =>
  trustAnchors(new Judge({ crypto: nodeCrypto, clock, anchors: [anchor] }), host)(presented)

/** SHA-256 of the issuing CA's SubjectPublicKeyInfo. */
export const pin: string = createHash('sha256').update(issuingCa.certificate.spki.der).digest('hex')

export const pinnedAnchor: ServerTrust = (presented) =>
  trustPinned({ crypto: nodeCrypto, clock, host, anchor: pin })(presented)
