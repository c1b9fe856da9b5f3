/**
 * Names below the data folder that belong to the composition; the store and the vault name their
 * own.
 */

/** The key files. */
export const keysFolder = 'keys'
/** The newest CRL of each CA. */
export const crlFolder = 'crl'
/** Lies in a folder while `init` makes it. */
export const unfinishedFile = 'init.unfinished'
/** Kept by `init --dev`. */
export const devPassphraseFile = 'dev-passphrase'
