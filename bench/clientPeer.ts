/** Starts the server of the benchmarks of our TLS client, a process of its own (clientServer.ts). */
import { fileURLToPath } from 'node:url'
import { type Running, start } from './processes.ts'

export interface ClientPeer extends Running {
  readonly port: number
}

/** Without a folder of certificates: plain TCP. */
export async function startClientPeer(folder?: string): Promise<ClientPeer> {
  const script = fileURLToPath(new URL('./clientServer.ts', import.meta.url))
  const args = [script, ...(folder === undefined ? [] : [folder])]
  const running = await start({ command: process.execPath, args }, (out) => out.includes('\n'))
  return { ...running, port: Number(running.output()) }
}
