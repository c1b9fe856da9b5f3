/**
 * Reads the body of a request within a bound. By callback, since this runs once per message: a
 * chain of promises would cost more than the reading. A body that is too long is never kept; a
 * little more of it is dropped so that the peer can read the answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { problemBody, problemType } from '../problem.ts'
import type { HttpSession } from './httpSession.ts'
import type { DoorLimits } from './limits.ts'

const nothing: Buffer = Buffer.alloc(0)

/** `done` is not called when the peer goes away, or when the body was refused. */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  bytesMax: number,
  tooLong: () => void,
  done: (body: Buffer) => void,
): void {
  const announced = request.headers['content-length']
  if (announced !== undefined && Number(announced) > bytesMax) return tooLong()
  // RFC 9110 §10.1.1: a client may wait for this word before it sends the body.
  if (request.headers.expect !== undefined) response.writeContinue()
  let first: Buffer | undefined
  let more: Buffer[] | undefined
  let length = 0
  const onData = (chunk: Buffer): void => {
    length += chunk.length
    if (length > bytesMax) {
      request.off('data', onData)
      request.off('end', onEnd)
      return tooLong()
    }
    if (first === undefined) first = chunk
    else (more ??= [first]).push(chunk)
  }
  const onEnd = (): void =>
    done(more === undefined ? (first ?? nothing) : Buffer.concat(more, length))
  request.on('data', onData)
  request.on('end', onEnd)
}

/**
 * Answers 413 and ends the connection. A client in the middle of sending would see a reset instead
 * of the answer if we closed at once (RFC 9112 §9.6), so what still comes is dropped up to a bound
 * of bytes and of time.
 */
export function refuseBody(
  session: HttpSession,
  request: IncomingMessage,
  response: ServerResponse,
  bytesMax: number,
  limits: DoorLimits,
  now: number,
): void {
  const body = problemBody({ status: 413, detail: `a body has at most ${bytesMax} bytes` })
  response.writeHead(413, {
    'Content-Type': problemType,
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  })
  response.write(body)
  session.deadline = Math.min(session.deadline, now + limits.lingerMsMax)
  // The peer waits for our word before it sends (RFC 9110 §10.1.1): there is nothing to drop.
  if (request.headers.expect !== undefined) return void response.end()
  let dropped = 0
  request.on('data', (chunk: Buffer) => {
    dropped += chunk.length
    if (dropped > limits.lingerBytesMax) session.socket.destroy()
  })
  request.on('end', () => response.end())
}
