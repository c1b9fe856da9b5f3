/**
 * The demo's server in a process of its own. The parent hands over folder and passphrase as the
 * first line of standard input, so that neither stands in a file or on a command line; when the
 * input ends, because the parent did, the server ends.
 */
import { createInterface } from 'node:readline'
import { createLog, openHouse, readConfig, serve } from '@countersign/server'

export interface ServeOrder {
  readonly dir: string
  readonly passphrase: string
  readonly listen: readonly string[]
}

// Ctrl-C reaches the whole process group; the parent tells when it is time.
process.on('SIGINT', () => undefined)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const first = await lines.next()
// The only speaker is the parent, which started this very file.
const order: ServeOrder = JSON.parse(String(first.value))
const config = await readConfig(order.dir, { listen: [...order.listen], logLevel: 'error' })
const house = await openHouse(order.dir, {
  passphrase: order.passphrase,
  config,
  log: createLog(config.logLevel, process.stderr),
})
const served = await serve(house)
process.stdout.write(`${JSON.stringify({ event: 'ready', listeners: served.listeners })}\n`)
await lines.next()
await served.close()
await house.close()
process.exit(0)
