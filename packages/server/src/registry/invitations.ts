/**
 * Invitations: one-time passwords of a first enrolment. Only the hash of a token is stored; the
 * token is shown once.
 */
import { matchesPattern } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import type { Milliseconds, Random } from '@countersign/core/ports'
import type { TokenRow } from '../ports.ts'
import {
  auditEvent,
  commit,
  misuse,
  type RegistryParts,
  refusal,
  sha256Hex,
  untilSettled,
} from './context.ts'
import type { Products } from './products.ts'

/** 192 bits: nobody guesses one, so guessing needs no limit of its own. */
const tokenBytes = 24
const idDigits = 16
/** Rows that one look takes from the store. */
const pageRows = 1_000

export interface Invitation {
  readonly product: string
  readonly count: number
  readonly expiresAt: Milliseconds
  readonly serial?: string
}

export interface InvitationFilter {
  /** Only those that still admit somebody. */
  readonly open?: boolean
  /** Those after this id. */
  readonly after?: string | undefined
  readonly limit?: number
}

export class Invitations {
  private readonly parts: RegistryParts
  private readonly products: Products

  constructor(parts: RegistryParts, products: Products) {
    this.parts = parts
    this.products = products
  }

  async invite(invitation: Invitation): Promise<{ readonly token: string; readonly id: string }> {
    const { product, count, expiresAt, serial } = invitation
    await this.check(invitation)
    const token = newToken(this.parts.random)
    const hash = this.hashOf(token)
    const row: TokenRow = {
      id: hash.slice(0, idDigits),
      hash,
      product,
      serial: serial ?? null,
      count,
      used: 0,
      expiresAt,
      createdAt: this.parts.clock.now(),
    }
    const data = { product, count, expiresAt, serial }
    await commit(
      this.parts,
      {
        writes: [{ kind: 'insert', table: 'token', row }],
        events: [auditEvent(this.parts, 'token.made', `token:${row.id}`, 'operator', data)],
      },
      [],
    )
    return { token, id: row.id }
  }

  async list(filter: InvitationFilter): Promise<readonly TokenRow[]> {
    const { open = false, limit = pageRows } = filter
    const found: TokenRow[] = []
    for (let { after } = filter; ; ) {
      const page = await this.parts.store.scan('token', {
        limit: pageRows,
        ...(after === undefined ? {} : { after }),
      })
      const now = this.parts.clock.now()
      for (const row of page) {
        if (open && (row.used >= row.count || row.expiresAt <= now)) continue
        found.push(row)
        if (found.length === limit) return found
      }
      if (page.length < pageRows) return found
      after = page.at(-1)?.id
    }
  }

  /** The row goes, so that a reservation that has read it already finds nothing to be paid by. */
  async withdraw(id: string): Promise<TokenRow> {
    return untilSettled(async () => {
      const row = await this.parts.store.get('token', id)
      if (row === undefined)
        throw new CallerError(
          'ERR_INVITATION_UNKNOWN',
          `there is no invitation ${id}`,
          {},
          { where: id, hint: 'See "countersign identity invitations" for their ids.' },
        )
      const { product, count, used } = row
      const data = { product, count, used }
      await commit(
        this.parts,
        {
          conditions: [{ kind: 'equals', table: 'token', key: id, where: { used } }],
          writes: [{ kind: 'delete', table: 'token', key: id }],
          events: [auditEvent(this.parts, 'token.withdrawn', `token:${id}`, 'operator', data)],
        },
        [],
      )
      return row
    })
  }

  /**
   * Who may enrol by this token. A spent one still answers a retry, so being spent is the
   * reservation's affair.
   */
  checkToken(token: string): Promise<TokenRow> {
    return this.byHash(this.hashOf(token))
  }

  async byHash(hash: string): Promise<TokenRow> {
    const row = await this.parts.store.get('token', hash.slice(0, idDigits))
    if (row === undefined || row.hash !== hash)
      throw refusal('ERR_TOKEN_UNKNOWN', 'there is no such token')
    if (row.expiresAt <= this.parts.clock.now())
      throw refusal('ERR_TOKEN_EXPIRED', `token ${row.id} has expired`, {
        token: row.id,
        expiresAt: row.expiresAt,
      })
    return row
  }

  private hashOf(token: string): string {
    return sha256Hex(this.parts, new TextEncoder().encode(token))
  }

  private async check({ product, count, serial }: Invitation): Promise<void> {
    const { serialPattern } = await this.products.one(product)
    if (serial === undefined) return
    if (count !== 1)
      throw new CallerError(
        'ERR_PARAMETER',
        'a token for one serial number enrols one device',
        { count },
        { where: 'count', hint: 'Leave the count out, or the serial number.' },
      )
    if (!matchesPattern(serialPattern, serial))
      throw misuse('ERR_SERIAL_PATTERN', `${serial} does not fit ${serialPattern}`, serial)
  }
}

function newToken(random: Random): string {
  return Buffer.from(random.bytes(tokenBytes)).toString('base64url')
}
