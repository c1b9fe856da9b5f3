/**
 * Where the keys of the CAs are: sealed files of the vault, with the root's in a wrap of its own, or
 * a token, from which none of them ever comes out. A house that names a token makes its new keys
 * there; what was made before stays where it is.
 */
import { CallerError } from '@countersign/core/errors'
import type { Signer } from '@countersign/core/ports'
import { softwareSigner } from '@countersign/element/softwareSigner'
import type { CaRow } from '../ports.ts'
import type { VaultErrorCode } from './passphrase.ts'
import { rootKeyFile, type Vault } from './vault.ts'

/** A token as the authority sees it: keys by label. */
export interface CaToken {
  /** Root and issuing keys are made by the first of these curves that the token can. */
  generate(label: string, wanted: readonly ('P-256' | 'P-384')[]): Promise<Signer>
  signer(label: string): Promise<Signer>
}

export interface KeyPlaces {
  readonly vault: Vault
  readonly caToken?: CaToken | undefined
}

/** A key that was made, and what its CA's row keeps to find it again. */
export interface MadeKey {
  readonly signer: Signer
  readonly keyFile: string
}

/** In `CaRow.keyFile`, before the label of a key in the token. */
const tokenPrefix = 'token:'

export function isInToken({ keyFile }: Pick<CaRow, 'keyFile'>): boolean {
  return keyFile.startsWith(tokenPrefix)
}

/** Undefined for a key that is a file. */
export function labelInToken(row: Pick<CaRow, 'keyFile'>): string | undefined {
  return isInToken(row) ? row.keyFile.slice(tokenPrefix.length) : undefined
}

export async function makeRootKey(
  { vault, caToken }: KeyPlaces,
  tag: string,
  passphrase: string,
): Promise<MadeKey> {
  if (caToken !== undefined) return await makeInToken(caToken, tag, 'root', ['P-384', 'P-256'])
  const key = await vault.createRootKey('P-384', passphrase)
  return { signer: softwareSigner(key), keyFile: rootKeyFile }
}

export async function makeIssuingKey(
  { vault, caToken }: KeyPlaces,
  tag: string,
  name: string,
): Promise<MadeKey> {
  if (caToken !== undefined) return await makeInToken(caToken, tag, name, ['P-256'])
  const keyFile = `${name}.key`
  return { signer: softwareSigner(await vault.createKey(keyFile, 'P-256')), keyFile }
}

/** Houses may share a token: the tag of the house is in the label. */
async function makeInToken(
  token: CaToken,
  tag: string,
  name: string,
  wanted: readonly ('P-256' | 'P-384')[],
): Promise<MadeKey> {
  const label = `countersign-${tag}-${name}`
  return { signer: await token.generate(label, wanted), keyFile: `${tokenPrefix}${label}` }
}

/** Of an issuing CA. */
export async function openIssuingKey({ vault, caToken }: KeyPlaces, row: CaRow): Promise<Signer> {
  const label = labelInToken(row)
  if (label !== undefined) return await signerInToken(caToken, label, row.name)
  return softwareSigner(await vault.openKey(row.keyFile))
}

export interface RootKeyWay {
  /** Where root.key is; the data folder when absent. */
  readonly rootKey?: string | undefined
  readonly rootPassphrase?: string | undefined
}

export async function openRootKey(
  { vault, caToken }: KeyPlaces,
  root: CaRow,
  { rootKey, rootPassphrase }: RootKeyWay,
): Promise<Signer> {
  const label = labelInToken(root)
  if (label !== undefined) {
    if (rootKey === undefined) return await signerInToken(caToken, label, root.name)
    throw new CallerError(
      'ERR_ROOT_KEY',
      "the root's key is in the token",
      {},
      { where: rootKey, hint: 'Leave --root-key out.' },
    )
  }
  if (rootPassphrase === undefined) {
    throw new CallerError<VaultErrorCode>(
      'ERR_PASSPHRASE',
      'the passphrase of root.key is needed',
      {},
      { hint: 'Give it with --root-passphrase-file.' },
    )
  }
  return softwareSigner(await vault.openRootKey(rootPassphrase, rootKey))
}

async function signerInToken(
  token: CaToken | undefined,
  label: string,
  name: string,
): Promise<Signer> {
  if (token !== undefined) return await token.signer(label)
  throw new CallerError(
    'ERR_CA_TOKEN',
    `the key of the CA ${name} is in a token, and the configuration names none`,
    {},
    { where: 'config.json', hint: 'Put "caToken" back: the pkcs11: URL that "init" was given.' },
  )
}
