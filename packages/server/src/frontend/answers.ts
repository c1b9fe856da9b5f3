/** What the https door says outside its routes: refusals that end the connection, and answers by hand. */
import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { type Problem, sendProblem } from '../problem.ts'

/**
 * RFC 9110 §15.5.2 asks for a challenge. No registered scheme means "a certificate in TLS"; the
 * name says it to a reader.
 */
export const certificateRequired: Problem = {
  status: 401,
  detail: 'a client certificate is required',
  headers: { 'WWW-Authenticate': 'Certificate' },
}

/** Who may not stay is answered once; the body it may still be sending is not waited for. */
export function farewell(response: ServerResponse, problem: Problem): void {
  sendProblem(response, { ...problem, headers: { ...problem.headers, Connection: 'close' } })
}

/** What the parser of HTTP could not read. */
export function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  socket.write(bareAnswer(error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400))
  socket.destroySoon()
}

/** For a socket on which there may be no response object yet. */
export function bareAnswer(status: number): string {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
}
