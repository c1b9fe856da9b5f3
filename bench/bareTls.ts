/**
 * Node's TLS or https server with nothing around it, run by anchors.ts: the chain of the client is checked
 * by OpenSSL, the connection stays until the client leaves. Prints its port. A client that is
 * refused ends the process: what is measured must not be refusals.
 */
import { readFileSync } from 'node:fs'
import https from 'node:https'
import tls, { createSecureContext, type TlsOptions } from 'node:tls'

const [chain = '', key = '', ca = '', trust = '', kind = ''] = process.argv.slice(2)

const credential = {
  cert: readFileSync(chain),
  key: readFileSync(key),
  ca: readFileSync(ca),
  minVersion: 'TLSv1.3',
} as const
// Node's servers pass this option on only in a context that is made by hand.
const pinning = createSecureContext({ ...credential, allowPartialTrustChain: true })
const options: TlsOptions = {
  ...credential,
  ...(trust === 'issuingCa' ? { SNICallback: (_name, answer) => answer(null, pinning) } : {}),
  requestCert: true,
  rejectUnauthorized: true,
  sessionIdContext: 'bare',
}
const server = kind === 'https' ? https.createServer(options) : tls.createServer(options)
server.on('secureConnection', (socket) => {
  socket.on('error', () => undefined)
  if (kind === 'tls') socket.resume()
})
server.on('tlsClientError', (error) => {
  process.stderr.write(`refused: ${error.message}\n`)
  process.exit(1)
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () => {
  const address = server.address()
  process.stdout.write(`${typeof address === 'object' ? address?.port : address}\n`)
})
// By SIGTERM as by itself, so that a profile is written.
process.on('SIGTERM', () => process.exit(0))
