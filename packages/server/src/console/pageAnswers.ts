/**
 * What every answer of the page carries, and the plain pages that say why there is no page. Nothing
 * that came from outside is written into HTML here or anywhere: devices' words reach the browser as
 * JSON and become text there.
 */
import { answer } from './answers.ts'

/**
 * Only our own files, from memory; no inline script or style, no frame around us, no form, no base.
 * Trusted types (where the browser knows them) turn a string that becomes markup into an error.
 */
const contentSecurityPolicy: string = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

export const pageHeaders: Readonly<Record<string, string>> = {
  'Content-Security-Policy': contentSecurityPolicy,
  // The address of `/open` holds a code.
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
}

export type PlainReason = 'code' | 'tooMany' | 'closed' | 'foreign'

interface Plain {
  readonly status: number
  readonly title: string
  readonly words: string
}

const newLink = 'Ask for a new link on the machine where the server runs:'

const reasons: Readonly<Record<PlainReason, Plain>> = {
  code: {
    status: 403,
    title: 'This link does not open the page',
    words: `A link opens once, within ten minutes. ${newLink}`,
  },
  tooMany: {
    status: 429,
    title: 'Too many attempts',
    words: `Wrong links were tried, one after the other. ${newLink}`,
  },
  closed: {
    status: 403,
    title: 'The page is closed',
    words: `It opens by a one-time link, and closes after twelve hours or when the server was started again. ${newLink}`,
  },
  foreign: {
    status: 403,
    title: 'Not from another page',
    words:
      'Another page led here, and none may. Paste the link into the address bar, or ask for a new one:',
  },
}

/** Every word of it is ours. */
export function plainPage(reason: PlainReason): Response {
  const { status, title, words } = reasons[reason]
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title} · countersign</title>
<link rel="icon" href="/page/icon.svg">
<link rel="stylesheet" href="/page/style.css">
<body class="plain">
<main>
<img src="/page/icon.svg" alt="" width="40" height="40">
<h1>${title}</h1>
<p>${words}</p>
<pre><code>countersign console</code></pre>
<p>With <code>--dir FOLDER</code> where the server has another data folder than the usual one.</p>
</main>
</body>
</html>
`
  const headers = { ...pageHeaders, 'Content-Type': 'text/html; charset=utf-8' }
  return new Response(html, { status, headers })
}

export function notHere(): Response {
  const sentence =
    'There is no page here: it is for the machine of the server, while the console listens on loopback.\n'
  const headers = { ...pageHeaders, 'Content-Type': 'text/plain; charset=utf-8' }
  return new Response(sentence, { status: 404, headers })
}

/** For the page's own code. */
export function problem(status: number, detail: string): Response {
  return answer({ status, detail, headers: pageHeaders })
}
