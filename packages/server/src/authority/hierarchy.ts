/**
 * The house's certification authorities: one offline root, one issuing CA per role. No key and no
 * certificate serves two roles. An issuing CA that was rolled over stays here, retired: it signs no
 * certificate any more, but its CRL as long as it lives.
 */
import { randomBytes } from 'node:crypto'
import { hex } from '@countersign/core/codec'
import { type Certificate, type Role, roles } from '@countersign/core/credential'
import { CallerError, InvariantError } from '@countersign/core/errors'
import type { Clock, Signer } from '@countersign/core/ports'
import type { CaRow, ProfileName, Store } from '../ports.ts'
import { isInToken, type KeyPlaces, makeRootKey, openIssuingKey } from './caKeys.ts'
import {
  caEvent,
  caWrites,
  decodeCa,
  type House,
  houseOf,
  makeIssuing,
  makeRoot,
} from './founding.ts'
import { profileTemplate } from './profiles.ts'
import type { Template } from './template.ts'

export interface HierarchyOptions extends KeyPlaces {
  readonly store: Store
  readonly clock: Clock
  /** Written into every CRL distribution point, `<crlBase>/<ca>.crl`; none when absent. */
  readonly crlBase?: string
}

export interface FoundingOptions extends HierarchyOptions {
  /** O of the CAs' names. */
  readonly organization?: string
  /** Wraps `root.key`, unless the root's key is made in a token. */
  readonly rootPassphrase: string
}

/** One CA of the house, ready to sign (the root excepted, whose key is not here). */
export interface HouseCa {
  readonly row: CaRow
  readonly certificate: Certificate
  readonly keyId: Uint8Array
  readonly signer: Signer
  template(profile: ProfileName): Template
}

export class Hierarchy {
  readonly #options: HierarchyOptions
  readonly #cas = new Map<string, HouseCa>()
  #root: CaRow

  private constructor(options: HierarchyOptions, root: CaRow) {
    this.#options = options
    this.#root = root
  }

  /**
   * Makes root and issuing CAs. Rows and anchors appear in one write; the founder also gets the
   * root's signer, for its first CRL.
   */
  static async found(
    options: FoundingOptions,
  ): Promise<{ readonly hierarchy: Hierarchy; readonly rootSigner: Signer }> {
    const { store, clock, rootPassphrase } = options
    const house: House = {
      organization: options.organization ?? 'countersign',
      tag: hex(randomBytes(3)),
    }
    const rootKey = await makeRootKey(options, house.tag, rootPassphrase)
    const root = await makeRoot(house, rootKey, clock.now())
    const writes = caWrites(root, 'root', 'root', clock.now())
    for (const role of roles) {
      const made = await makeIssuing(options, root, { role, name: role, house })
      writes.push(...caWrites(made, role, role, clock.now()))
    }
    await store.apply({ writes, events: [caEvent('house.founded', 'root', root.der, clock.now())] })
    const hierarchy = await Hierarchy.open(options)
    return { hierarchy, rootSigner: root.signer }
  }

  static async open(options: HierarchyOptions): Promise<Hierarchy> {
    const rows = await options.store.scan('ca', { limit: 1000 })
    const root = rows.find((row) => row.role === 'root')
    if (root === undefined) {
      throw new CallerError(
        'ERR_FOLDER_EMPTY',
        'this folder has no authority',
        {},
        {
          hint: 'Make one with "countersign init".',
        },
      )
    }
    const hierarchy = new Hierarchy(options, root)
    for (const row of rows) if (row.role !== 'root') await hierarchy.#load(row)
    return hierarchy
  }

  get root(): CaRow {
    return this.#root
  }

  /** Issuing CAs, retired ones too. */
  issuing(): readonly HouseCa[] {
    return [...this.#cas.values()]
  }

  rows(): readonly CaRow[] {
    return [this.#root, ...this.issuing().map((ca) => ca.row)]
  }

  /** The CA that signs for this role now. */
  active(role: Role): HouseCa {
    const ca = this.issuing().find((one) => one.row.role === role && one.row.status === 'active')
    if (ca !== undefined) return ca
    throw new InvariantError('ERR_CA_UNKNOWN', `no CA is active for the role ${role}`)
  }

  /** A new CA takes over a role; the old one is retired. Needs the root's key. */
  async rollover(role: Role, rootSigner: Signer): Promise<HouseCa> {
    const { store, clock } = this.#options
    const old = this.active(role)
    const root = { ...decodeCa(this.#root.der), signer: rootSigner }
    if (!Buffer.from(root.certificate.spki.der).equals(root.signer.spki)) {
      throw new CallerError(
        'ERR_ROOT_KEY',
        'this key is not the key of the root',
        {},
        { hint: 'Give the root.key that "init" made with this folder.' },
      )
    }
    const name = this.#nextName(role)
    const house = houseOf(root.certificate)
    const made = await makeIssuing(this.#options, root, { role, name, house })
    await store.apply({
      conditions: [{ kind: 'equals', table: 'ca', key: old.row.name, where: { status: 'active' } }],
      writes: [
        { kind: 'update', table: 'ca', key: old.row.name, set: { status: 'retired' } },
        ...caWrites(made, role, name, clock.now()),
      ],
      events: [caEvent('ca.rollover', name, made.der, clock.now())],
    })
    await this.#reload(old.row.name)
    return this.#reload(name)
  }

  /** `owner`, `owner-2`, `owner-3` … */
  #nextName(role: Role): string {
    const count = this.issuing().filter((ca) => ca.row.role === role).length
    return `${role}-${count + 1}`
  }

  async #reload(name: string): Promise<HouseCa> {
    const row = await this.#options.store.get('ca', name)
    if (row === undefined) throw new InvariantError('ERR_CA_UNKNOWN', `the row of ${name} is gone`)
    return this.#load(row)
  }

  async #load(row: CaRow): Promise<HouseCa> {
    const { crlBase } = this.#options
    const { certificate, keyId } = decodeCa(row.der)
    const signer = await openIssuingKey(this.#options, row)
    if (!Buffer.from(certificate.spki.der).equals(signer.spki)) {
      throw new CallerError(
        'ERR_VAULT_CORRUPT',
        `${row.keyFile} is not the key of the CA ${row.name}`,
        {},
        {
          hint: isInToken(row)
            ? 'Is this the token that the CA was made in?'
            : 'Restore the folder from a backup.',
        },
      )
    }
    const issuer = {
      issuer: certificate.subject.der,
      scheme: signer.scheme,
      keyId,
      ...(crlBase === undefined ? {} : { crlUrl: `${crlBase}/${row.name}.crl` }),
    }
    const templates = new Map<ProfileName, Template>()
    const template = (profile: ProfileName): Template => {
      const known = templates.get(profile)
      if (known !== undefined) return known
      const made = profileTemplate(profile, issuer)
      templates.set(profile, made)
      return made
    }
    const ca: HouseCa = { row, certificate, keyId, signer, template }
    this.#cas.set(row.name, ca)
    return ca
  }
}
