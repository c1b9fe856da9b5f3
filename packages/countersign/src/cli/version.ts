/** One version for the whole product: that of the manifest beside `src` or `dist`. */
import { readFileSync } from 'node:fs'

const manifest: { readonly version: string } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
)

export const version: string = manifest.version
