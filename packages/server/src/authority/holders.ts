/** Whom a nonce is given to, in the one form that both who gives and who judges use. */

export function tokenHolder(id: string): string {
  return `token:${id}`
}

export function certificateHolder(fingerprint: string): string {
  return `certificate:${fingerprint}`
}
