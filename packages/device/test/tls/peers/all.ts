/** Every peer that a client can have a conversation with. */
import { gnutls } from './gnutls.ts'
import { go } from './go.ts'
import { mosquitto } from './mosquitto.ts'
import { nginx } from './nginx.ts'
import { nodeTls } from './nodeTls.ts'
import { openssl, opensslPage } from './openssl.ts'
import type { Peer } from './peer.ts'
import { rustls } from './rustls.ts'

export const peers: readonly Peer[] = [
  openssl,
  opensslPage,
  gnutls,
  nginx,
  mosquitto,
  nodeTls,
  go,
  rustls,
]
