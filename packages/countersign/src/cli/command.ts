/**
 * What every command has in common: one sentence, an example, `--json`, and typed access to what
 * was written on the line.
 */
import { resolve } from 'node:path'
import { CallerError } from '@countersign/core/errors'
import type { LogLevel } from '@countersign/server'
import { assurances } from '@countersign/server/control'
import type { Assurance } from '@countersign/server/ports'
import { type Command, Option } from 'commander'
import type { Terminal } from './terminal.ts'

export interface OptionSpec {
  /** As in `--count <n>`. */
  readonly flags: string
  readonly text: string
  readonly default?: string
  readonly choices?: readonly string[]
  readonly required?: boolean
  /** May be given several times. */
  readonly many?: boolean
}

export interface CommandSpec {
  /** Verb with its arguments: `revoke <id>`. */
  readonly usage: string
  readonly summary: string
  /** After `$ countersign `. */
  readonly example: string
  /** More than one sentence, for `--help` only. */
  readonly notes?: string
  readonly options?: readonly OptionSpec[]
  /** The command works on a data folder: adds --dir, --passphrase-file, --log-level. */
  readonly folder?: boolean
  readonly run: (line: Line) => Promise<void>
}

export const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

export function addCommand(parent: Command, terminal: Terminal, spec: CommandSpec): Command {
  const command = parent.command(spec.usage).summary(spec.summary).description(spec.summary)
  command.allowExcessArguments(false)
  for (const option of spec.options ?? []) command.addOption(optionOf(option))
  if (spec.folder === true) addFolderOptions(command)
  command.option('--json', 'one JSON document on one line')
  const notes = spec.notes === undefined ? '' : `\n${spec.notes}\n`
  command.addHelpText('after', `${notes}\nExample:\n  $ countersign ${spec.example}\n`)
  command.action(async () => {
    await spec.run(new Line(command.args, command.optsWithGlobals(), terminal))
  })
  return command
}

function addFolderOptions(command: Command): void {
  command.option('--dir <folder>', 'data folder (or COUNTERSIGN_DIR; default ./countersign-data)')
  command.option(
    '--passphrase-file <file>',
    'holds the passphrase of the keys (or COUNTERSIGN_PASSPHRASE_FILE, or a prompt)',
  )
  command.addOption(new Option('--log-level <level>', 'how much is logged').choices(levels))
}

function optionOf(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.text)
  if (spec.choices !== undefined) option.choices(spec.choices)
  if (spec.default !== undefined) option.default(spec.default)
  if (spec.required === true) option.makeOptionMandatory()
  if (spec.many === true) {
    option.argParser((value: string, all: readonly string[] | undefined) => [...(all ?? []), value])
  }
  return option
}

/** What was written on the line. */
export class Line {
  readonly terminal: Terminal
  readonly #args: readonly string[]
  readonly #options: Readonly<Record<string, unknown>>

  constructor(
    args: readonly string[],
    options: Readonly<Record<string, unknown>>,
    terminal: Terminal,
  ) {
    this.#args = args
    this.#options = options
    this.terminal = terminal
  }

  get args(): readonly string[] {
    return this.#args
  }

  /** The n-th argument; the parser has refused a line that lacks a required one. */
  argument(index: number): string {
    return this.#args[index] ?? ''
  }

  optional(name: string): string | undefined {
    const value = this.#options[name]
    return typeof value === 'string' ? value : undefined
  }

  text(name: string): string {
    const value = this.optional(name)
    if (value !== undefined) return value
    throw new CallerError(
      'ERR_USAGE',
      `--${kebab(name)} is missing`,
      {},
      { where: `--${kebab(name)}`, hint: 'Add --help to see what the command takes.' },
    )
  }

  many(name: string): readonly string[] {
    const value = this.#options[name]
    return Array.isArray(value) ? value.map(String) : []
  }

  /** One word of a list. The parser has refused others where the option says so. */
  choice<T extends string>(name: string, known: readonly T[]): T | undefined {
    const value = this.optional(name)
    return value === undefined ? undefined : oneOf(value, known, `--${kebab(name)}`)
  }

  choices<T extends string>(name: string, known: readonly T[]): readonly T[] {
    return this.many(name).map((value) => oneOf(value, known, `--${kebab(name)}`))
  }

  /** An assurance (0 to 4). */
  assurance(name: string): Assurance | undefined {
    const value = this.choice(name, assurances.map(String))
    return value === undefined ? undefined : assurances[Number(value)]
  }

  /** A suite of EDHOC that is in the profile. */
  edhocSuite(name: string): 2 | 3 | undefined {
    const value = this.choice(name, ['2', '3'])
    if (value === undefined) return undefined
    return value === '2' ? 2 : 3
  }

  get logLevel(): LogLevel | undefined {
    return this.choice('logLevel', levels)
  }

  flag(name: string): boolean {
    return this.#options[name] === true
  }

  whole(name: string, bounds: { readonly min: number; readonly max: number }): number | undefined {
    const text = this.optional(name)
    if (text === undefined) return undefined
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= bounds.min && value <= bounds.max) return value
    throw new CallerError(
      'ERR_USAGE',
      `"${text}" is not a whole number from ${bounds.min} to ${bounds.max}`,
      {},
      { where: `--${kebab(name)}`, hint: 'Give a whole number within the bounds.' },
    )
  }

  /** Absolute path of the data folder. */
  get dir(): string {
    const given = this.optional('dir') ?? (process.env['COUNTERSIGN_DIR'] || undefined)
    return given === undefined ? defaultDir() : resolve(given)
  }
}

/** Where nothing else is said. */
export function defaultDir(): string {
  return resolve('./countersign-data')
}

export function oneOf<T extends string>(value: string, known: readonly T[], where: string): T {
  const found = known.find((word) => word === value)
  if (found !== undefined) return found
  throw new CallerError(
    'ERR_USAGE',
    `"${value}" is not known here`,
    {},
    { where, hint: `Known: ${known.join(', ')}.` },
  )
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
