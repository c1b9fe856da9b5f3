/**
 * The files of the page, read once and served from memory with a strong ETag (RFC 9110 §8.8.3).
 *
 * They are plain files without a build step and lie in `src/console/page`. The path below is right
 * from `src/console` and from `dist/console`: a published package carries that folder of `src`, and
 * nothing is copied.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { pageHeaders } from './pageAnswers.ts'

const folder = new URL('../../src/console/page/', import.meta.url)

export type PageFile =
  | 'index.html'
  | 'style.css'
  | 'icon.svg'
  | 'app.js'
  | 'detail.js'
  | 'devices.js'
  | 'news.js'
  | 'text.js'

/** All but the page itself, which is shown to a session only. */
export const pageParts: readonly PageFile[] = [
  'style.css',
  'icon.svg',
  'app.js',
  'detail.js',
  'devices.js',
  'news.js',
  'text.js',
]

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  js: 'text/javascript; charset=utf-8',
}

interface Kept {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly etag: string
  readonly type: string
}

export class PageFiles {
  readonly #kept: Map<PageFile, Kept> = new Map()

  /** Throws when a file is missing: the door then does not open. */
  constructor() {
    for (const name of ['index.html', ...pageParts] as const) {
      const bytes = Uint8Array.from(readFileSync(new URL(name, folder)))
      const digest = createHash('sha256').update(bytes).digest('base64url')
      const type = types[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream'
      this.#kept.set(name, { bytes, etag: `"${digest.slice(0, 22)}"`, type })
    }
  }

  answer(name: PageFile, ifNoneMatch: string | undefined): Response {
    const kept = this.#kept.get(name)
    if (kept === undefined) return new Response(null, { status: 404, headers: pageHeaders })
    // Asked for every time and seldom sent: after an upgrade page and server fit at once.
    const headers = { ...pageHeaders, 'Cache-Control': 'no-cache', ETag: kept.etag }
    if (matches(ifNoneMatch, kept.etag)) return new Response(null, { status: 304, headers })
    return new Response(kept.bytes, { headers: { ...headers, 'Content-Type': kept.type } })
  }
}

/** RFC 9110 §13.1.2, where weak and strong are the same. */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  return (ifNoneMatch ?? '')
    .split(',')
    .map((one) => one.trim().replace(/^W\//, ''))
    .some((one) => one === etag || one === '*')
}
