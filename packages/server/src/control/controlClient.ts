/**
 * The other end of the control socket: what a command speaks with while `serve` owns the folder.
 */
import { createConnection, type Socket } from 'node:net'
import { AdapterError } from '@countersign/core/errors'
import { type Answer, answerBytesMax, LineReader, uncarry } from './protocol.ts'

export interface ControlClient {
  call(operation: string, params: unknown): Promise<unknown>
  close(): void
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** Undefined when nobody listens there. */
export async function connectControl(endpoint: string): Promise<ControlClient | undefined> {
  const socket = await dial(endpoint)
  return socket === undefined ? undefined : clientOf(socket)
}

async function dial(endpoint: string): Promise<Socket | undefined> {
  return await new Promise((resolve, reject) => {
    const socket = createConnection(endpoint)
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'ENOTSOCK') {
        resolve(undefined)
      } else reject(error)
    })
  })
}

function clientOf(socket: Socket): ControlClient {
  const waiting = new Map<number, Waiting>()
  let lastId = 0
  const fail = (error: Error): void => {
    for (const one of waiting.values()) one.reject(error)
    waiting.clear()
    socket.destroy()
  }
  const reader = new LineReader(answerBytesMax, (line) => {
    // Our own server speaks here: the folder's owner, of the same version.
    const answer: Answer = JSON.parse(line)
    // Id 0 answers a line that could not be read: it concerns everything sent so far.
    if (answer.id === 0 && 'error' in answer) return fail(uncarry(answer.error))
    const one = waiting.get(answer.id)
    waiting.delete(answer.id)
    if ('error' in answer) one?.reject(uncarry(answer.error))
    else one?.resolve(answer.result)
  })
  socket.on('data', (chunk: Buffer) => {
    try {
      reader.push(chunk)
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)))
    }
  })
  socket.on('error', fail)
  socket.on('close', () => fail(hungUp()))
  return {
    call: async (operation, params) =>
      await new Promise((resolve, reject) => {
        lastId += 1
        waiting.set(lastId, { resolve, reject })
        socket.write(`${JSON.stringify({ id: lastId, operation, params })}\n`)
      }),
    close: () => {
      socket.removeAllListeners('close')
      socket.end()
    },
  }
}

function hungUp(): AdapterError {
  return new AdapterError(
    'ERR_CONTROL_CLOSED',
    'the server ended before it answered',
    {},
    { hint: 'Whether it was done is not known: look, then repeat if needed.' },
  )
}
