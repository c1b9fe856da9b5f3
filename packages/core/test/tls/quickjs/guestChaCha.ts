/** The program that seals and opens its records itself, with ChaCha20-Poly1305 in JavaScript. */
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { withOwnAead } from './guestAead.ts'
import { guestCrypto } from './guestCrypto.ts'
import { guestProgram } from './guestProgram.ts'

const crypto = withOwnAead(guestCrypto(globalThis.ports), 'chacha20-poly1305', chacha20poly1305)
globalThis.guest = guestProgram(globalThis.ports, globalThis.events, crypto)
