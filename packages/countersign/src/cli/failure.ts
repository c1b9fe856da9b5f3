/**
 * How a failure is told: words with a hint on stderr, `{"error":{code,message,where,hint}}` on
 * stdout under `--json`.
 */
import { inspect } from 'node:util'
import { isCountersignError } from '@countersign/core/errors'
import { CommanderError } from 'commander'
import { plain, type Terminal } from './terminal.ts'

export interface Failure {
  readonly code: string
  readonly message: string
  readonly where: string | null
  readonly hint: string | null
}

/** Codes that mean "the line was wrong": exit 2. Everything else that fails is 1. */
const usageCodes: ReadonlySet<string> = new Set([
  'ERR_USAGE',
  'ERR_PARAMETER',
  'ERR_SERVER_URL',
  'ERR_NO_MQTTS',
  'ERR_ANCHOR_FORMAT',
  'ERR_INVITATION_FILE',
  'ERR_SERIAL_FORMAT',
  'ERR_EUI64_FORMAT',
  'ERR_TOPIC_FORMAT',
  'ERR_ELEMENT_URL',
  'ERR_COMMAND_NAME',
  'ERR_COMMAND_DATA',
  'ERR_COMMAND_EXPIRY',
])

/** Help that was asked for is no failure. */
const calm: ReadonlySet<string> = new Set(['commander.helpDisplayed', 'commander.version'])

export function report(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError && calm.has(error.code)) return 0
  const failure = failureOf(error)
  if (terminal.json) terminal.document({ error: failure })
  else sayFailure(failure, terminal)
  if (failure.code === 'ERR_BUG') terminal.complain(inspect(error))
  return usageCodes.has(failure.code) ? 2 : 1
}

export function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) return usageFailure(error)
  if (isCountersignError(error)) {
    const { code, message, where = null, hint = null } = error
    return { code, message, where, hint: hint ?? fallbackHint(code) }
  }
  if (isSystemError(error)) return systemFailure(error)
  return {
    code: 'ERR_BUG',
    message: error instanceof Error ? error.message : String(error),
    where: null,
    hint: 'This is a defect of countersign. Please report it with the lines on stderr.',
  }
}

function sayFailure(failure: Failure, terminal: Terminal): void {
  const where = failure.where === null ? '' : ` (${plain(failure.where)})`
  terminal.complain(
    `${terminal.paint('red', 'error:')} ${plain(failure.message)}${where} [${failure.code}]`,
  )
  if (failure.hint !== null) {
    terminal.complain(`${terminal.paint('cyan', 'hint:')} ${plain(failure.hint)}`)
  }
}

/** Commander words its own: "error: unknown option '--jsn'\n(Did you mean --json?)". */
function usageFailure(error: CommanderError): Failure {
  const [message = '', ...rest] = error.message.replace(/^error: /, '').split('\n')
  const suggestion = rest.join(' ').replace(/^\(|\)$/g, '')
  const quoted = /'([^']+)'/.exec(message)?.[1] ?? null
  return {
    code: 'ERR_USAGE',
    message: message === '(outputHelp)' ? 'a verb is missing' : message,
    where: quoted,
    hint: suggestion === '' ? 'Add --help to see what the command takes.' : suggestion,
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error
}

function systemFailure(error: NodeJS.ErrnoException): Failure {
  const code = `${systemPrefix}${error.code ?? 'UNKNOWN'}`
  return { code, message: error.message, where: error.path ?? null, hint: fallbackHint(code) }
}

/** What a running `serve` met has this code too: the command says the same, whoever did the work. */
const systemPrefix = 'ERR_SYSTEM_'

const systemHints: Readonly<Record<string, string>> = {
  EACCES: 'Check who owns the file and its permissions.',
  EPERM: 'Check who owns the file and its permissions.',
  ENOENT: 'Check the path.',
  ENOTDIR: 'A part of the path is a file, no folder.',
  ENAMETOOLONG: 'Choose a shorter path.',
  ENOSPC: 'Free some disk space and try again.',
  EROFS: 'The file system is read-only.',
  ECONNREFUSED: 'Check the address, and that the server runs.',
}

/** For errors that come up without advice of their own. */
function fallbackHint(code: string): string {
  if (code.startsWith(systemPrefix)) {
    const hint = systemHints[code.slice(systemPrefix.length)]
    return hint ?? 'The operating system refused this; its own words are above.'
  }
  if (code.startsWith('ERR_DEVICE')) return 'See "countersign identity why <id>".'
  if (code.startsWith('ERR_TOKEN')) return 'Make a new one with "countersign identity invite".'
  if (code.startsWith('ERR_STORE') || code.startsWith('ERR_FOLDER')) {
    return 'Run "countersign doctor" to see the state of the data folder.'
  }
  if (code.startsWith('ERR_CHAIN') || code.startsWith('ERR_CERT') || code.startsWith('ERR_CRL')) {
    return 'Run "countersign verify" on the chain to see the link and the field.'
  }
  return 'Add --help to see what the command takes, or run "countersign doctor".'
}
