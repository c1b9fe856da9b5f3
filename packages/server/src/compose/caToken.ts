/**
 * The token of a house, for its CA keys. It is opened when the first key is needed; what it cannot do
 * is ERR_CA_TOKEN, whatever the reason, so that a door can say "later" and an operator reads why.
 */
import { AdapterError } from '@countersign/core/errors'
import type { Signer } from '@countersign/core/ports'
import { openTokenKeys, type TokenKeys, tokenName } from '@countersign/element/pkcs11'
import { isElementError } from '@countersign/element/ports'
import type { CaToken } from '../authority/caKeys.ts'

/** Asks a person, where the URL names no file with the PIN. */
export type AskPin = (token: string) => Promise<string>

export class HouseToken implements CaToken {
  readonly #url: string
  readonly #askPin: AskPin | undefined
  readonly #made: string[] = []
  #keys: Promise<TokenKeys> | undefined

  constructor(url: string, askPin?: AskPin) {
    this.#url = url
    this.#askPin = askPin
  }

  /** Its label, or its serial number. */
  get name(): string {
    return tokenName(this.#url)
  }

  async generate(label: string, wanted: readonly ('P-256' | 'P-384')[]): Promise<Signer> {
    return await this.#reaching(async (keys) => {
      const signer = await keys.generate(label, wanted)
      this.#made.push(label)
      return this.#explaining(signer)
    })
  }

  async signer(label: string): Promise<Signer> {
    return await this.#reaching(async (keys) => this.#explaining(await keys.signer(label)))
  }

  /** Of a founding that failed: the next one begins as this one did. */
  async undo(): Promise<void> {
    const keys = await this.#keys
    for (const label of this.#made.splice(0)) await keys?.destroy(label)
  }

  async close(): Promise<void> {
    const keys = await this.#keys?.catch(() => undefined)
    await keys?.close()
  }

  async #reaching<T>(work: (keys: TokenKeys) => Promise<T>): Promise<T> {
    this.#keys ??= openTokenKeys(this.#url, { askPin: this.#askPin }).catch((error: unknown) => {
      // It may be put in later.
      this.#keys = undefined
      throw error
    })
    const keys = this.#keys
    return await this.#told(async () => await work(await keys))
  }

  #explaining(signer: Signer): Signer {
    return { ...signer, sign: (message) => this.#told(() => signer.sign(message)) }
  }

  async #told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      if (!isElementError(cause)) throw cause
      const where = cause.where ?? `pkcs11:token=${this.name}`
      const hint = cause.hint ?? 'Put the token back; nothing else has to be started again.'
      throw new AdapterError(
        'ERR_CA_TOKEN',
        `the CA keys in the token cannot be used: ${cause.message}`,
        { reason: cause.code },
        { where, hint, cause },
      )
    }
  }
}
