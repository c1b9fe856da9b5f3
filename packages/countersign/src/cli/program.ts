/** The whole command as commander knows it. Nothing of the server is loaded before a verb runs. */
import { Command, Option } from 'commander'
import { addApplication } from './application.ts'
import { addCa } from './ca.ts'
import { addCare } from './care.ts'
import { addConsole } from './console.ts'
import { addDemo } from './demo.ts'
import { addDevice } from './device.ts'
import { addElement } from './element.ts'
import { addFactory } from './factory.ts'
import { addIdentity } from './identity.ts'
import { addInit } from './init.ts'
import { addLog } from './log.ts'
import { addProduct } from './product.ts'
import { addServe } from './serve.ts'
import type { Terminal } from './terminal.ts'
import { addVerify } from './verify.ts'
import { version } from './version.ts'

export function createProgram(terminal: Terminal): Command {
  const program = new Command('countersign')
  program
    .description('One provable identity for every device, and its messages end to end secured.')
    .version(version, '-V, --version')
    .exitOverride()
    .configureOutput({
      // Failures are told in one place (failure.ts), in words or as a document.
      outputError: () => undefined,
      ...(terminal.json ? { writeErr: () => undefined } : {}),
    })
    .addHelpText('after', footer)
  const groups: readonly [string, readonly ((program: Command, terminal: Terminal) => void)[]][] = [
    ['Start:', [addDemo, addInit, addServe, addConsole]],
    ['Identities and policy:', [addIdentity, addProduct, addFactory, addApplication]],
    ['Trust:', [addCa, addVerify, addLog]],
    ['The other end:', [addDevice, addElement]],
    ['Care:', [addCare]],
  ]
  for (const [heading, adders] of groups) {
    program.commandsGroup(heading)
    for (const add of adders) add(program, terminal)
  }
  settle(program)
  return program
}

const footer = `
Every command takes --help and --json. The data folder is --dir, COUNTERSIGN_DIR or ./countersign-data.

Example:
  $ countersign demo
`

/**
 * `help` as a verb would be a second way to say --help; options of the whole command may stand
 * before the verb too.
 */
function settle(command: Command): void {
  command.helpCommand(false)
  if (command.commands.length === 0) return
  for (const flags of ['--json', '--dir <folder>', '--passphrase-file <file>']) {
    command.addOption(new Option(flags).hideHelp())
  }
  if (command.parent !== null) command.addHelpText('after', nounFooter)
  for (const sub of command.commands) settle(sub)
}

const nounFooter = '\nEach verb takes --help, which ends with an example.\n'
