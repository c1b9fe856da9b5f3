/** The program with all of its cryptography from the host, as a device with an AES engine has it. */
import { guestCrypto } from './guestCrypto.ts'
import { guestProgram } from './guestProgram.ts'

globalThis.guest = guestProgram(globalThis.ports, globalThis.events, guestCrypto(globalThis.ports))
