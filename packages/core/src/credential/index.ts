/** The credential room: X.509 values, roles, and the one judge of chains. */
export type * from './types.ts'
export { type Purpose, purposes, type Role, roles } from './roles.ts'
export type * from './verified.ts'
