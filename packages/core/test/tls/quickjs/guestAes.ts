/** The program that seals and opens its records itself, with AES-128-GCM in JavaScript. */
import { gcm } from '@noble/ciphers/aes.js'
import { withOwnAead } from './guestAead.ts'
import { guestCrypto } from './guestCrypto.ts'
import { guestProgram } from './guestProgram.ts'

const crypto = withOwnAead(guestCrypto(globalThis.ports), 'aes-128-gcm', gcm)
globalThis.guest = guestProgram(globalThis.ports, globalThis.events, crypto)
