/** What the benchmarks have either client do: come and go, fetch a ticket, move bytes. */
import type { Client, Line } from './clients.ts'

/** Connects, says farewell, and is through when the server has closed, after reading both. */
export function visit<Session>(client: Client<Session>, session?: Session): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let isResumed: boolean | undefined
    client.open(
      {
        secured(line) {
          isResumed = line.isResumed
          line.end()
        },
        closed(reason) {
          if (isResumed === undefined || reason !== undefined) reject(failed(reason))
          else resolve(isResumed)
        },
      },
      session,
    )
  })
}

/** Of a full handshake. */
export function ticketOf<Session>(client: Client<Session>): Promise<Session> {
  return new Promise((resolve, reject) => {
    let line: Line | undefined
    client.open({
      secured: (opened) => (line = opened),
      session(session) {
        line?.end()
        resolve(session)
      },
      closed: (reason) => reject(failed(reason)),
    })
  })
}

export function download<Session>(client: Client<Session>, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let [left, line] = [bytes, undefined as Line | undefined]
    client.open({
      secured(opened) {
        line = opened
        opened.write(order('D', bytes))
      },
      data(content) {
        left -= content.length
        if (left === 0) line?.end()
      },
      closed: (reason) => (left === 0 && reason === undefined ? resolve() : reject(failed(reason))),
    })
  })
}

/** In writes of one full record each. */
export function upload<Session>(client: Client<Session>, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let [more, line, arrived] = [(): void => {}, undefined as Line | undefined, false]
    client.open({
      secured(opened) {
        line = opened
        opened.write(order('U', bytes))
        more = writing(opened, bytes)
        more()
      },
      drained: () => more(),
      data() {
        arrived = true
        line?.end()
      },
      closed: (reason) => (arrived && reason === undefined ? resolve() : reject(failed(reason))),
    })
  })
}

/** Goes on where it was held back. */
function writing(line: Line, bytes: number): () => void {
  const chunk = new Uint8Array(16_384).fill(7)
  let left = bytes
  return () => {
    while (left > 0) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk
      left -= part.length
      if (!line.write(part)) return
    }
  }
}

function order(kind: 'D' | 'U', bytes: number): Uint8Array {
  const five = Buffer.from(`${kind}....`)
  five.writeUInt32BE(bytes, 1)
  return five
}

function failed(cause: unknown): Error {
  return new Error('a connection failed', { cause })
}
