/**
 * Where a passphrase comes from: `--passphrase-file`, COUNTERSIGN_PASSPHRASE_FILE, the file that
 * `init --dev` left in the folder, or a hidden prompt. Never an argument: those are seen by every
 * process of the machine.
 */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { CallerError } from '@countersign/core/errors'
import type { Line } from './command.ts'
import { plain, type Terminal } from './terminal.ts'

/** Kept beside the data by `init --dev`. */
export const devPassphraseFile = 'dev-passphrase'

/**
 * Longer than any passphrase that a person or a secret store makes; a wrong path is noticed instead
 * of read.
 */
const passphraseBytesMax = 1024

export interface PassphraseSource {
  readonly file: string | undefined
  readonly dir: string
  readonly terminal: Terminal
  /** `init` asks twice. */
  readonly confirm?: boolean
}

/** The passphrase of the folder that the line names. */
export async function passphraseFor(line: Line): Promise<string> {
  const { dir, terminal } = line
  return await readPassphrase({ file: line.optional('passphraseFile'), dir, terminal })
}

export async function readPassphrase(source: PassphraseSource): Promise<string> {
  const named = source.file ?? process.env['COUNTERSIGN_PASSPHRASE_FILE']
  if (named !== undefined && named !== '') return await fromFile(named, source.terminal)
  const dev = await readFile(join(source.dir, devPassphraseFile), 'utf8').catch(() => undefined)
  if (dev !== undefined) return dev.trimEnd()
  if (!source.terminal.attended) throw missing()
  return await fromPrompt(source)
}

/**
 * Who is asked for the PIN of a token, where no file has it: nobody without a terminal. Asked once
 * for each token: it may have to be opened again later, and another one has another PIN.
 */
export function pinAsker(terminal: Terminal): { askPin?: (token: string) => Promise<string> } {
  if (!terminal.attended) return {}
  const asked = new Map<string, Promise<string>>()
  const askPin = (token: string): Promise<string> => {
    const pin = asked.get(token) ?? pinFromPrompt(token, terminal)
    asked.set(token, pin)
    return pin
  }
  return { askPin }
}

/** An empty one would cost a try of the token. */
async function pinFromPrompt(token: string, terminal: Terminal): Promise<string> {
  const name = plain(token)
  const pin = await ask(`PIN of the token ${name}: `, terminal, () => pinMissing(name))
  if (pin === '') throw pinMissing(name)
  return pin
}

async function fromFile(file: string, terminal: Terminal): Promise<string> {
  const { size, mode } = await stat(file)
  if (size > passphraseBytesMax) {
    throw new CallerError(
      'ERR_PASSPHRASE_FILE',
      `the passphrase file has ${size} bytes; at most ${passphraseBytesMax} make sense`,
      {},
      { where: file, hint: 'Is this the right file? Its first line is the passphrase.' },
    )
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    terminal.warn(`others on this machine can read ${file}: chmod 600 it`)
  }
  return nonEmpty((await readFile(file, 'utf8')).replace(/\r?\n$/, ''), file)
}

async function fromPrompt(source: PassphraseSource): Promise<string> {
  const first = nonEmpty(await ask('Passphrase: ', source.terminal, missing), 'prompt')
  if (source.confirm === true && (await ask('Once more: ', source.terminal, missing)) !== first) {
    throw new CallerError(
      'ERR_PASSPHRASE_MISMATCH',
      'the two passphrases differ',
      {},
      { hint: 'Nothing was made. Try again.' },
    )
  }
  return first
}

/** Readline edits the line as usual while what it echoes goes nowhere. */
async function ask(question: string, terminal: Terminal, unanswered: () => Error): Promise<string> {
  terminal.asking = true
  terminal.promptStream.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: terminal.stdin, output: nowhere, terminal: true })
  // In raw mode Ctrl-C is a key, not a signal.
  lines.once('SIGINT', () => {
    lines.close()
    process.exit(interruptedExitCode)
  })
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve)
      lines.once('close', () => reject(unanswered()))
    })
  } finally {
    lines.close()
    terminal.promptStream.write('\n')
    terminal.asking = false
  }
}

/** As a shell reports a program that SIGINT ended. */
const interruptedExitCode = 130

function missing(): CallerError {
  return new CallerError(
    'ERR_PASSPHRASE_MISSING',
    'the keys of the data folder need a passphrase',
    {},
    {
      hint: 'Give --passphrase-file F or set COUNTERSIGN_PASSPHRASE_FILE; on a terminal it is asked for.',
    },
  )
}

function pinMissing(token: string): CallerError {
  return new CallerError(
    'ERR_PIN_MISSING',
    `no PIN was given for the token ${token}`,
    {},
    {
      hint: 'Nothing was tried. Type it, or name a file with it: pin-source=file:/path in the URL.',
    },
  )
}

function nonEmpty(passphrase: string, where: string): string {
  if (passphrase !== '') return passphrase
  throw new CallerError(
    'ERR_PASSPHRASE_EMPTY',
    'an empty passphrase protects nothing',
    {},
    { where, hint: 'Choose a long one, for example five random words.' },
  )
}
