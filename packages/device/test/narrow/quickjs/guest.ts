/** The firmware with all of its crypto in JavaScript: core's portable provider. */
import { nobleCrypto } from '@countersign/core/crypto/noble'
import { firmwareOn, random } from './program.ts'

globalThis.firmware = firmwareOn(nobleCrypto(random))
