/**
 * The command. Parses the line, runs one noun's verb, and turns whatever went wrong into words, a
 * document and an exit code: 0 done, 1 refused or failed, 2 wrong usage.
 */
import { Terminal } from './cli/terminal.ts'

async function main(argv: readonly string[]): Promise<number> {
  const terminal = new Terminal(process, { json: wantsJson(argv) })
  try {
    const { createProgram } = await import('./cli/program.ts')
    await createProgram(terminal).parseAsync(argv, { from: 'user' })
    return terminal.exitCode
  } catch (error) {
    const { report } = await import('./cli/failure.ts')
    return report(error, terminal)
  }
}

/** Read before the parser: a line that it refuses still gets its failure as a document. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json')
}

// A reader that closes early (`| head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})
process.exitCode = await main(process.argv.slice(2))
