/**
 * What a refused request is told: application/problem+json (RFC 9457) with as little as helps an
 * honest peer.
 */
import { type ServerResponse, STATUS_CODES } from 'node:http'

export interface Problem {
  readonly status: number
  /** A reason that a peer may know. */
  readonly detail?: string
  readonly code?: string
  readonly headers?: Readonly<Record<string, string>>
}

export const problemType = 'application/problem+json'

export function problemBody(problem: Problem): string {
  const title = STATUS_CODES[problem.status] ?? 'Error'
  return JSON.stringify({
    title,
    status: problem.status,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    ...(problem.code === undefined ? {} : { code: problem.code }),
  })
}

export function sendProblem(response: ServerResponse, problem: Problem): void {
  if (response.headersSent || response.destroyed) return
  const body = problemBody(problem)
  response.writeHead(problem.status, {
    'Content-Type': problemType,
    'Content-Length': Buffer.byteLength(body),
    ...problem.headers,
  })
  response.end(body)
}
