/** `countersign serve`: opens the doors and stays until it is told to stop. */
import type { Services } from '@countersign/server'
import type { Command } from 'commander'
import { addCommand, type Line } from './command.ts'
import { consoleLine } from './console.ts'
import { passphraseFor, pinAsker } from './passphrase.ts'
import type { Terminal } from './terminal.ts'

/** Ctrl-C twice does not wait for anything. */
const forcedExitCode = 130

export function addServe(program: Command, terminal: Terminal): void {
  addCommand(program, terminal, {
    usage: 'serve',
    summary:
      'Open the doors: devices on https, mqtts and coap, people and applications on console.',
    example: 'serve --listen https=0.0.0.0:8444',
    folder: true,
    options: [
      {
        flags: '--listen <door=host:port>',
        text: 'where a door listens (repeat for more); port 0 picks a free one',
        many: true,
      },
      { flags: '--accept-clock', text: 'serve although the clock is far behind the last event' },
    ],
    notes:
      'Prints {"event":"ready","listeners":{…}} on stdout when all doors are open, and on a terminal a one-time\nlink to the page. Stops on SIGINT or SIGTERM after what is in flight; a second signal does not wait.',
    run: serve,
  })
}

async function serve(line: Line): Promise<void> {
  const { openHouse, readConfig, createLog, serve: openDoors } = await import('@countersign/server')
  const { dir, terminal } = line
  const { logLevel } = line
  const config = await readConfig(dir, {
    listen: line.many('listen'),
    ...(logLevel === undefined ? {} : { logLevel }),
  })
  const stop = stopSignal()
  const log = createLog(config.logLevel, process.stderr)
  const passphrase = (): Promise<string> => passphraseFor(line)
  const house = await openHouse(dir, { config, log, passphrase, ...pinAsker(terminal) })
  try {
    const served = await terminal.during(
      'opening keys and doors',
      openDoors(house, { acceptClock: line.flag('acceptClock') }),
    )
    terminal.document({ event: 'ready', listeners: served.listeners })
    log.info({ ...served.listeners, dir }, 'ready')
    sayLink(house, terminal)
    log.info({ signal: await stop }, 'stopping')
    await served.close()
  } finally {
    await house.close()
  }
  log.info({}, 'stopped')
}

/**
 * For people only: in a file, a pipe or the journal it would be a secret in a log. There,
 * `countersign console` is the way.
 */
function sayLink({ consoleLink, dir }: Services, terminal: Terminal): void {
  if (consoleLink === undefined || terminal.json || !process.stderr.isTTY) return
  const { url } = consoleLink()
  terminal.words(`\nThe page, by a link that opens once, within ten minutes:\n  ${url}`)
  terminal.words(`Another link: ${consoleLine(dir)}\n`)
}

/**
 * Resolves on the first signal. The second one ends the process where it stands: the store survives
 * that.
 */
function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    let signals = 0
    const heard = (signal: string): void => {
      signals += 1
      if (signals > 1) process.exit(forcedExitCode)
      resolve(signal)
    }
    process.on('SIGINT', heard)
    process.on('SIGTERM', heard)
    // The terminal was closed.
    process.on('SIGHUP', heard)
  })
}
