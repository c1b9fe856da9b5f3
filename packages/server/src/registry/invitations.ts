/**
 * Invitations: one-time passwords of a first enrolment. Only the hash of a token is stored; the token is shown once.
 */
import { matchesPattern } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import type { Milliseconds, Random } from '@countersign/core/ports'
import type { TokenRow } from '../ports.ts'
import { auditEvent, commit, misuse, type RegistryParts, refusal, sha256Hex } from './context.ts'
import type { Products } from './products.ts'

/** 192 bits: nobody guesses one, so guessing needs no limit of its own. */
const tokenBytes = 24
const idDigits = 16
const listMax = 1_000

export interface Invitation {
  readonly product: string
  readonly count: number
  readonly expiresAt: Milliseconds
  readonly serial?: string
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

  list(): Promise<readonly TokenRow[]> {
    return this.parts.store.scan('token', { limit: listMax })
  }

  /** Who may enrol by this token. A spent one still answers a retry, so being spent is the reservation's affair. */
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
