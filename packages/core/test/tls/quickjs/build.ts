/**
 * The program for the engine: core's TLS client and its judge in one file, and that as bytecode
 * without source and line numbers, as a device would have it in its flash.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { CompileFlags, EvalFlags, QuickJS } from 'quickjs-wasi'

/** Compiled once for all engines of this process. */
export const engineModule: WebAssembly.Module = new WebAssembly.Module(
  readFileSync(fileURLToPath(import.meta.resolve('quickjs-wasi/quickjs.wasm'))),
)

export type Variant = 'AEAD of the host' | 'ChaCha20-Poly1305 inside' | 'AES-128-GCM inside'

const entries: Readonly<Record<Variant, URL>> = {
  'AEAD of the host': new URL('./guestHostAead.ts', import.meta.url),
  'ChaCha20-Poly1305 inside': new URL('./guestChaCha.ts', import.meta.url),
  'AES-128-GCM inside': new URL('./guestAes.ts', import.meta.url),
}

export async function bytecodeOf(variant: Variant): Promise<Uint8Array> {
  return bytecodeOfText(await bundle(entries[variant]))
}

export async function bytecodeOfText(source: string): Promise<Uint8Array> {
  using compiler = await QuickJS.create({ wasm: engineModule })
  const flags = CompileFlags.STRIP_SOURCE | CompileFlags.STRIP_DEBUG
  return compiler.compile(source, 'device.js', EvalFlags.TYPE_GLOBAL, flags)
}

async function bundle(entry: URL): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(entry)],
    bundle: true,
    write: false,
    platform: 'neutral',
    format: 'iife',
    target: 'es2023',
    minify: true,
    logLevel: 'silent',
  })
  const [file] = outputFiles
  if (file === undefined) throw new Error('the bundler made nothing')
  return file.text
}
