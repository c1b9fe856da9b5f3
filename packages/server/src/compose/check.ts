/** One finding of `doctor`. */
export type Verdict = 'ok' | 'warn' | 'fail'

export interface Check {
  readonly name: string
  readonly verdict: Verdict
  readonly message: string
  readonly remedy: string | null
}

export function ok(name: string, message: string): Check {
  return { name, verdict: 'ok', message, remedy: null }
}

export function warn(name: string, message: string, remedy: string): Check {
  return { name, verdict: 'warn', message, remedy }
}

export function fail(name: string, message: string, remedy: string): Check {
  return { name, verdict: 'fail', message, remedy }
}
