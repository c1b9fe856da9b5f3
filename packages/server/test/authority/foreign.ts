/**
 * Programs that nobody here wrote, as judges of what we write. A missing one is a skip with its
 * reason, or a failure where PEERS=required.
 */
import { execFile, execFileSync } from 'node:child_process'

const maxBuffer = 64 * 1024 * 1024

export interface Answer {
  readonly code: number
  /** stdout and stderr together. */
  readonly text: string
}

export async function openssl(...args: readonly string[]): Promise<Answer> {
  return call('openssl', args)
}

export async function certtool(...args: readonly string[]): Promise<Answer> {
  return call('certtool', args)
}

function call(program: string, args: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { maxBuffer }, (error, stdout, stderr) => {
      const code = error === null ? 0 : child.exitCode
      if (code === null) reject(error ?? new Error(`${program} did not end by itself`))
      else resolve({ code, text: stdout + stderr })
    })
  })
}

/** For `skip`: false when the program is there. */
export function missing(program: string): string | false {
  try {
    execFileSync(program, [program === 'openssl' ? 'version' : '--version'], { stdio: 'ignore' })
    return false
  } catch {
    if (process.env['PEERS'] === 'required') throw new Error(`${program} is required and missing`)
    return `${program} is not on this machine`
  }
}
