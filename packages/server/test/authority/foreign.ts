/** Programs that nobody here wrote, as judges of what we write. A missing one is a skip with its reason, or a failure where PEERS=required. */
import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

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

async function call(program: string, args: readonly string[]): Promise<Answer> {
  try {
    const { stdout, stderr } = await run(program, [...args], { maxBuffer: 64 * 1024 * 1024 })
    return { code: 0, text: stdout + stderr }
  } catch (error) {
    if (!(error instanceof Error) || !('stdout' in error)) throw error
    const { code, stdout, stderr } = error as Error & {
      code: number
      stdout: string
      stderr: string
    }
    if (typeof code !== 'number') throw error
    return { code, text: stdout + stderr }
  }
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
