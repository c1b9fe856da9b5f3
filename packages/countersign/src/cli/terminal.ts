/**
 * Where the command speaks: data on stdout, words on stderr. Under `--json` data is one document on
 * one line.
 */
import { styleText } from 'node:util'

export type Paint = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

interface Streams {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

/** Nothing is said about a step that takes less. */
const quietMsMax = 1000
/** A SHA-256 in hex is never cut: it is there to be compared. */
const cellWidthMax = 64

export class Terminal {
  readonly json: boolean
  readonly stdin: NodeJS.ReadStream
  readonly #stdout: NodeJS.WriteStream
  readonly #stderr: NodeJS.WriteStream
  /**
   * What the process ends with when nothing was thrown: a command sets 1 when it has said itself
   * what failed.
   */
  exitCode = 0
  /** A prompt stands on the terminal. */
  asking = false

  constructor(streams: Streams, options: { readonly json: boolean }) {
    this.stdin = streams.stdin
    this.#stdout = streams.stdout
    this.#stderr = streams.stderr
    this.json = options.json
  }

  /** Data as a document under `--json`, as text otherwise. */
  data(document: unknown, human: () => string): void {
    if (this.json) this.document(document)
    else this.text(human())
  }

  document(value: unknown): void {
    this.#stdout.write(`${JSON.stringify(value)}\n`)
  }

  text(text: string): void {
    if (text !== '') this.#stdout.write(text.endsWith('\n') ? text : `${text}\n`)
  }

  /**
   * Words for the person at the terminal. Silent under `--json`, where only failures and warnings
   * speak.
   */
  words(text: string): void {
    if (!this.json) this.#stderr.write(`${text}\n`)
  }

  warn(text: string): void {
    this.#stderr.write(`${this.paint('yellow', 'warning:')} ${text}\n`)
  }

  complain(text: string): void {
    this.#stderr.write(`${text}\n`)
  }

  get attended(): boolean {
    return this.stdin.isTTY && this.#stderr.isTTY
  }

  get promptStream(): NodeJS.WriteStream {
    return this.#stderr
  }

  /** Colours the words on stderr; plain when it is no terminal or NO_COLOR is set. */
  paint(style: Paint, text: string): string {
    return styleText(style, text, { stream: this.#stderr })
  }

  /** Colours data on stdout; plain when it goes anywhere but to a terminal. */
  paintData(style: Paint, text: string): string {
    return styleText(style, text, { stream: this.#stdout })
  }

  /** Says what is being done when it takes more than a second. */
  async during<T>(what: string, work: Promise<T>): Promise<T> {
    if (this.json) return await work
    const started = performance.now()
    let said = false
    const timer = setInterval(() => {
      // Somebody is typing a passphrase: the clock of this step is theirs.
      if (said || this.asking) return
      said = true
      this.words(this.paint('dim', `${what} …`))
    }, quietMsMax)
    try {
      return await work
    } finally {
      clearInterval(timer)
      if (said) {
        const seconds = ((performance.now() - started) / 1000).toFixed(1)
        this.words(this.paint('dim', `${what}: ${seconds} s`))
      }
    }
  }
}

/** Columns by padEnd. An empty list is said in words by the caller. */
export function table(
  columns: readonly string[],
  rows: readonly (readonly (string | number | null | undefined)[])[],
): string {
  const cells = rows.map((row) => row.map(cell))
  const widths = columns.map((name, i) =>
    Math.max(name.length, ...cells.map((row) => row[i]?.length ?? 0)),
  )
  const line = (row: readonly string[]): string =>
    row
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  return [line(columns.map((name) => name.toUpperCase())), ...cells.map(line)].join('\n')
}

/** `name  value` lines of one record. */
export function record(
  fields: readonly (readonly [name: string, value: string | number | null | undefined])[],
): string {
  const width = Math.max(...fields.map(([name]) => name.length))
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${plain(value)}`).join('\n')
}

/** A document as indented lines, for people. */
export function outline(value: unknown, indent = ''): string {
  if (Array.isArray(value)) {
    return value.map((item) => `${indent}- ${outline(item, `${indent}  `).trimStart()}`).join('\n')
  }
  if (typeof value !== 'object' || value === null) return `${indent}${plain(String(value))}`
  return Object.entries(value)
    .filter(([, item]) => !isEmpty(item))
    .map(([name, item]) =>
      typeof item === 'object'
        ? `${indent}${plain(name)}:\n${outline(item, `${indent}  `)}`
        : `${indent}${plain(name)}: ${plain(String(item))}`,
    )
    .join('\n')
}

/** A heading with nothing below it says nothing. */
function isEmpty(item: unknown): boolean {
  if (item === null || item === undefined) return true
  return typeof item === 'object' && Object.keys(item).length === 0
}

function cell(value: string | number | null | undefined): string {
  const text = plain(value)
  return text.length > cellWidthMax ? `${text.slice(0, cellWidthMax - 1)}…` : text
}

/** Control and bidirectional characters of foreign text never reach a terminal. */
export function plain(value: string | number | null | undefined): string {
  if (value === null || value === undefined || value === '') return '-'
  return String(value).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '�')
}
