/**
 * Forces a garbage collection in another Node that was started with `--inspect=127.0.0.1:0`, over
 * Node's inspector: the product needs no code for being measured.
 */
import type { Running } from './processes.ts'

export async function collectGarbage(server: Running): Promise<void> {
  const url = /ws:\/\/\S+/.exec(server.errors())?.[0]
  if (url === undefined) throw new Error('the server was not started with --inspect')
  const socket = new WebSocket(url)
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', reject)
  })
  const answered = new Promise((resolve) => socket.addEventListener('message', resolve))
  socket.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' }))
  await answered
  socket.close()
}
