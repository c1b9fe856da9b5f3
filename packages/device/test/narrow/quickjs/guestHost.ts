/** The firmware on a board with engines for P-256, hashing and AES-CCM: they come through the port. */
import { guestCrypto } from '../../../../core/test/tls/quickjs/guestCrypto.ts'
import { firmwareOn } from './program.ts'

const { ports } = globalThis
globalThis.firmware = firmwareOn({
  ...guestCrypto(ports),
  aeads: ['aes-ccm-16-64-128', 'aes-ccm-16-128-128'],
})
