/**
 * Named keys in a token as core's `Signer`: what an authority keeps its CA keys in. P-256 with
 * SHA-256 and P-384 with SHA-384, as DER. A signer outlives its token's absence: while it is away
 * `sign` throws ERR_ELEMENT_GONE, and works again when it is back.
 */
import { createHash } from 'node:crypto'
import { der } from '@countersign/core/codec'
import { elementError, isElementError, type Signer } from '@countersign/core/ports'
import { curves, spkiOf, type TokenCurve, type TokenKey } from './keys.ts'
import { KeyRing } from './keyRing.ts'
import { serialOf } from './serial.ts'
import { Token, type TokenOptions } from './token.ts'
import { nameOfToken, parsePkcs11Url } from './url.ts'

export interface TokenKeys {
  /** For messages: which token this is. */
  readonly where: string
  /** Of the token, as the port has serials. */
  serial(): Promise<string>
  has(label: string): Promise<boolean>
  /**
   * Makes the first of these curves that the token can. Refuses a label that is taken: a CA's key is
   * never replaced.
   */
  generate(label: string, wanted: readonly TokenCurve[]): Promise<Signer>
  /** ERR_ELEMENT_SLOT_EMPTY when there is no such key. */
  signer(label: string): Promise<Signer>
  /** Of a founding that failed. */
  destroy(label: string): Promise<void>
  close(): Promise<void>
}

export async function openTokenKeys(url: string, options: TokenOptions = {}): Promise<TokenKeys> {
  const parsed = parsePkcs11Url(url)
  if (parsed.object === undefined) return new Keys(await Token.open(parsed, options))
  throw elementError(
    'ERR_ELEMENT_URL',
    'the pkcs11: URL of a token for CA keys names a key',
    {},
    { where: 'pkcs11:', hint: 'Leave object=… out: every key gets a label of its own.' },
  )
}

/** What is said of a token where its URL, with the way to the PIN, does not belong. */
export function tokenName(url: string): string {
  return nameOfToken(parsePkcs11Url(url))
}

class Keys implements TokenKeys {
  readonly where: string
  readonly #token: Token
  readonly #ring: KeyRing

  constructor(token: Token) {
    this.where = token.where
    this.#token = token
    this.#ring = new KeyRing(token)
  }

  async serial(): Promise<string> {
    return await this.#token.use(({ info }) => serialOf(info.serial))
  }

  async has(label: string): Promise<boolean> {
    return (await this.#ring.find(label)) !== undefined
  }

  async generate(label: string, wanted: readonly TokenCurve[]): Promise<Signer> {
    if (await this.has(label)) {
      throw elementError(
        'ERR_ELEMENT_CONFIG',
        `the token holds a key "${label}" already`,
        {},
        {
          where: this.where,
          hint: "A CA key is never replaced. Delete it by hand if it is nobody's.",
        },
      )
    }
    const [curve, ...others] = wanted
    if (curve === undefined) {
      throw elementError(
        'ERR_ELEMENT_ARGUMENT',
        'a key is of some curve',
        {},
        { where: this.where },
      )
    }
    try {
      return this.#signerOf(label, await this.#ring.make(label, curve))
    } catch (error) {
      const cannot = isElementError(error) && error.code === 'ERR_ELEMENT_UNSUPPORTED'
      if (!cannot || others.length === 0) throw error
      return await this.generate(label, others)
    }
  }

  async signer(label: string): Promise<Signer> {
    const key = await this.#ring.find(label)
    if (key !== undefined) return this.#signerOf(label, key)
    throw elementError(
      'ERR_ELEMENT_SLOT_EMPTY',
      `the token holds no key "${label}"`,
      {},
      { where: this.where, hint: 'Is this the token that the authority was founded on?' },
    )
  }

  async destroy(label: string): Promise<void> {
    await this.#ring.destroy(label)
  }

  async close(): Promise<void> {
    await this.#token.close()
  }

  #signerOf(label: string, { curve, point }: TokenKey): Signer {
    const { hash, size } = curves[curve]
    return {
      scheme: { kind: 'ecdsa', hash, encoding: 'der' },
      spki: spkiOf(point, curve),
      sign: async (message) => {
        const digest = createHash(hash).update(message).digest()
        const signature = await this.#ring.sign(label, curve, digest, point)
        const [r, s] = [signature.subarray(0, size), signature.subarray(size)]
        return der.sequence(der.unsignedInteger(r), der.unsignedInteger(s))
      },
    }
  }
}
