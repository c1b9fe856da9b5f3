/**
 * A real browser, as a peer: Debian's chromium driven by playwright-core. It keeps what the page
 * complains about: errors, failed requests, violations of its policy.
 */
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'

/** For `skip`: false when the browser is there. */
export function missingBrowser(): string | false {
  if (existsSync(executablePath)) return false
  if (process.env['PEERS'] === 'required') throw new Error('chromium is required and missing')
  return `${executablePath} is not on this machine`
}

/** A cold start on a busy machine. */
const launchMsMax = 90_000
const actionMsMax = 20_000

export function startBrowser(): Promise<Browser> {
  // Its own sandbox needs what containers do not give; what it loads here is ours.
  const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
  return chromium.launch({ executablePath, args, timeout: launchMsMax })
}

export interface Watched {
  readonly page: Page
  readonly complaints: string[]
}

export async function openPage(
  browser: Browser,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Watched> {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(actionMsMax)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  await page.exposeFunction('complainOfPolicy', (text: string) => complaints.push(text))
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      const complain: unknown = Reflect.get(globalThis, 'complainOfPolicy')
      if (typeof complain === 'function')
        complain(`policy: ${event.violatedDirective} ${event.blockedURI}`)
    })
  })
  return { page, complaints }
}
