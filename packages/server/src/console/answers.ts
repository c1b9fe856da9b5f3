/** What the routes of the console door share: refusals, and who asks. */
import type { ApplicationRow } from '../ports.ts'
import { type Problem, problemBody, problemType } from '../problem.ts'

/** The application room, as this door sees it. */
export interface ApplicationDoor {
  authenticate(token: string): Promise<ApplicationRow | undefined>
}

export function answer(problem: Problem): Response {
  return new Response(problemBody(problem), {
    status: problem.status,
    headers: { 'Content-Type': problemType, ...problem.headers },
  })
}

export const tokenRequired: Problem = {
  status: 401,
  headers: { 'WWW-Authenticate': 'Bearer realm="countersign"' },
}

/** Who asks, by the value of Authorization; undefined: nobody that we know. */
export async function applicationOf(
  authorization: string | undefined,
  applications: ApplicationDoor,
): Promise<ApplicationRow | undefined> {
  // RFC 6750 §2.1. The scheme's name is case-insensitive (RFC 9110 §11.1).
  const token = /^bearer +([\x21-\x7e]+)$/i.exec(authorization ?? '')?.[1]
  return token === undefined ? undefined : await applications.authenticate(token)
}
