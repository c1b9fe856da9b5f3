/** Authorities, certificates, revocation lists and anchors. */
import { parseCertificate } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import { z } from 'zod'
import type { Authority } from '../../authority/authority.ts'
import type { Services } from '../../compose/services.ts'
import type { AnchorRow } from '../../ports.ts'
import {
  anchorDocument,
  caDocument,
  certificateDocument,
  certificatePem,
  rfc3339,
} from './documents.ts'
import { certificateDer, requestDer } from './files.ts'
import { ownCertificates } from './ownCertificates.ts'
import {
  assurance,
  file,
  noParams,
  parameterError,
  revocationReason,
  role,
  type Table,
  text,
  time,
} from './operation.ts'

/** More CAs than a house makes in centuries of rollovers. */
const casMax = 1000
const hosts = z.array(text).max(64)
const fingerprintPrefixMin = 8

type CaNames = 'ca.show' | 'ca.issue' | 'ca.revoke' | 'ca.crl' | 'ca.rollover'

export const caOperations: Table<CaNames> = {
  'ca.show': {
    params: z.strictObject({ name: text.optional() }),
    run: async (house, { name }) => {
      const rows = await house.store.scan('ca', { limit: casMax })
      const wanted = name === undefined ? rows : rows.filter((row) => row.name === name)
      if (wanted.length === 0) {
        const known = rows.map((row) => row.name).join(', ')
        throw parameterError('name', `there is no CA "${name ?? ''}"`, `The CAs are: ${known}.`)
      }
      const own = await ownCertificates(house.store, house.clock.now())
      return wanted.map((row) => caDocument(row, own))
    },
  },
  'ca.issue': {
    params: z.strictObject({
      profile: z.enum(['server', 'operator', 'application', 'idevid']),
      csr: file,
      hosts,
      days: z.number().int().min(1).max(36_500).optional(),
      product: text.optional(),
    }),
    run: async (house, params) => {
      const { authority } = await house.keys()
      const csr = requestDer(params.csr, '--csr')
      const issued =
        params.profile === 'idevid'
          ? await authority.issueIdevid(byHand(csr, params))
          : await authority.issueByOperator(byName(csr, params.profile, params))
      const leaf = parseCertificate(issued.der)
      return {
        serial: issued.serial,
        fingerprint: issued.fingerprint,
        profile: params.profile,
        notAfter: rfc3339(leaf.notAfter),
        pem: certificatePem(issued.der) + certificatePem(issued.issuer),
      }
    },
  },
  'ca.revoke': {
    params: z.strictObject({ serial: text, reason: revocationReason }),
    run: async (house, { serial, reason }) => {
      return certificateDocument(await house.registry.revokeCertificate(serial, reason))
    },
  },
  'ca.crl': {
    params: z.strictObject({ name: text }),
    run: async (house, { name }) => {
      const { authority } = await house.keys()
      const der = await authority.crl(name)
      if (der === undefined) {
        throw parameterError('name', `there is no CA "${name}"`, 'See "countersign ca show".')
      }
      return { name, der: Buffer.from(der).toString('base64') }
    },
  },
  'ca.rollover': {
    params: z.strictObject({
      role,
      rootKey: text.optional(),
      rootPassphrase: z.string().min(1).max(1024).optional(),
    }),
    run: async (house, params) => {
      const { authority } = await house.keys()
      const made = await authority.rollover(params)
      return caDocument(made, await ownCertificates(house.store, house.clock.now()))
    },
  },
}

interface IssueOptions {
  readonly hosts: readonly string[]
  readonly days?: number | undefined
  readonly product?: string | undefined
}

/** Nobody saw where the key was made: it counts as software. */
function byHand(
  csr: Uint8Array,
  { hosts: names, days, product = 'default' }: IssueOptions,
): Parameters<Authority['issueIdevid']>[0] {
  if (days !== undefined) {
    // IEEE 802.1AR §8.7: an IDevID lives as long as its device.
    throw parameterError('--days', 'an IDevID never expires', 'Leave --days out.')
  }
  if (names.length > 0) {
    throw parameterError('--host', 'a device has no host name', 'Leave --host out.')
  }
  return { csr, product, origin: 'software', assurance: 0, actor: 'operator' }
}

function byName(
  csr: Uint8Array,
  profile: 'server' | 'operator' | 'application',
  { hosts: names, days, product }: IssueOptions,
): Parameters<Authority['issueByOperator']>[0] {
  if (product !== undefined) {
    throw parameterError('--product', 'only devices are of a product', 'Leave --product out.')
  }
  return { profile, csr, hosts: names, ...(days === undefined ? {} : { days }) }
}

type AnchorNames = 'anchor.add' | 'anchor.list' | 'anchor.root' | 'anchor.remove'

export const anchorOperations: Table<AnchorNames> = {
  'anchor.add': {
    params: z.strictObject({
      // The other roles are the house's own (`init`, `ca rollover`).
      role: z.enum(['maker', 'attestation', 'manifest']),
      certificate: file,
      product: text.optional(),
      serialPattern: text.optional(),
      notAfter: time.optional(),
      assuranceCap: assurance.optional(),
    }),
    run: async (house, params) => {
      const { role: wanted, certificate, product, serialPattern, notAfter, assuranceCap } = params
      const row = await house.registry.addAnchor({
        role: wanted,
        der: certificateDer(certificate, 'file'),
        product,
        serialPattern,
        notAfter,
        assuranceCap,
      })
      return anchorDocument(row)
    },
  },
  'anchor.list': {
    params: z.strictObject({
      role: z.enum(['maker', 'owner', 'server', 'operator', 'attestation', 'manifest']).optional(),
    }),
    run: async (house, params) => {
      return (await house.registry.allAnchors(params.role)).map(anchorDocument)
    },
  },
  'anchor.root': {
    params: noParams,
    run: async (house) => {
      const rows = await house.store.find('ca', 'role', 'root')
      return { pem: rows.map((row) => certificatePem(row.der)).join('') }
    },
  },
  'anchor.remove': {
    params: z.strictObject({ fingerprint: text }),
    run: async (house, params) => {
      const row = await oneAnchor(house, params.fingerprint.toLowerCase().replaceAll(':', ''))
      await house.registry.removeAnchor(row.fingerprint)
      return anchorDocument(row)
    },
  },
}

/** A listing may be copied in part: the beginning is enough when it fits one anchor only. */
async function oneAnchor(house: Services, beginning: string): Promise<AnchorRow> {
  const rows = await house.registry.allAnchors()
  const fitting = rows.filter((row) => row.fingerprint.startsWith(beginning))
  const [row] = fitting
  if (row !== undefined && fitting.length === 1 && beginning.length >= fingerprintPrefixMin) {
    return row
  }
  throw new CallerError(
    'ERR_ANCHOR_UNKNOWN',
    fitting.length > 1 ? 'more than one anchor begins so' : 'no anchor has this fingerprint',
    {},
    { where: beginning, hint: 'See "countersign ca anchor list".' },
  )
}
