/**
 * Log lines for the operator: JSON for machines, one readable line on a terminal. Never the audit
 * log, and never a secret: what is logged are identifiers and public values, and the names below
 * are struck out if one slips in.
 */
import { styleText } from 'node:util'
import { pino } from 'pino'
import type { LogLevel } from './config.ts'
import type { Log } from './ports.ts'

const secretNames: readonly string[] = [
  'token',
  'secret',
  'passphrase',
  'password',
  'authorization',
  'key',
]

export interface LogTarget {
  readonly isTTY?: boolean
  write(text: string): unknown
}

export function createLog(level: LogLevel, target: LogTarget): Log {
  const stream =
    target.isTTY === true ? { write: (line: string) => writeLine(line, target) } : target
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...secretNames], censor: '[struck out]' },
    },
    { write: (line: string) => void stream.write(line) },
  )
}

/** For programs and tests that want none. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

const colours: Readonly<Record<string, 'dim' | 'cyan' | 'yellow' | 'red'>> = {
  debug: 'dim',
  info: 'cyan',
  warn: 'yellow',
  error: 'red',
}

function writeLine(json: string, target: LogTarget): void {
  const line: Readonly<Record<string, unknown>> = JSON.parse(json)
  const { level, time, msg, ...fields } = line
  const label = styleText(colours[String(level)] ?? 'dim', String(level).padEnd(5))
  const rest = Object.entries(fields)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? quoted(value) : String(value)}`)
    .join('')
  target.write(`${String(time).slice(11, 19)} ${label} ${quoted(String(msg), true)}${rest}\n`)
}

/** Foreign text (a path, a subject) must not move the cursor or colour the terminal. */
function quoted(text: string, sentence = false): string {
  const safe = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '�')
  return sentence || !/[\s="]/.test(safe) ? safe : JSON.stringify(safe)
}
