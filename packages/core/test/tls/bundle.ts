/** What a device takes of core, in one file: bundled for no platform, minified. */
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const client = "export { TlsClient, trustPinned } from '@countersign/core/tls'"
const root = fileURLToPath(new URL('../../../..', import.meta.url))

export interface Bundle {
  readonly text: string
  /** Bytes of what each module, by its path in the repository, has in it; the largest first. */
  readonly modules: readonly (readonly [path: string, bytes: number])[]
  /** What it asks of whoever runs it. */
  readonly imports: readonly string[]
}

export function bundleClient(): Promise<Bundle> {
  return bundle(client)
}

/** `contents`: a module of TypeScript. */
export async function bundle(contents: string): Promise<Bundle> {
  const { metafile, outputFiles } = await build({
    stdin: { contents, resolveDir: root },
    absWorkingDir: root,
    bundle: true,
    write: false,
    metafile: true,
    platform: 'neutral',
    format: 'esm',
    target: 'es2023',
    minify: true,
    // Not an error here: a test tells of it.
    external: ['node:*'],
    logLevel: 'silent',
  })
  const [output] = Object.values(metafile.outputs)
  const [file] = outputFiles
  if (output === undefined || file === undefined) throw new Error('the bundler made nothing')
  const modules = Object.entries(output.inputs)
    .map(([path, { bytesInOutput }]) => [path, bytesInOutput] as const)
    .filter(([, bytes]) => bytes > 0)
    .toSorted(([, a], [, b]) => b - a)
  return { text: file.text, modules, imports: output.imports.map(({ path }) => path) }
}
