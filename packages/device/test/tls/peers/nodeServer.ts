/** The process behind nodeTls.ts: its options are its argument. */
import { readFileSync } from 'node:fs'
import { createServer, type TlsOptions, type TLSSocket } from 'node:tls'
import type { Report } from './peer.ts'

/** Paths and names; null is what Node does by itself. */
export interface NodeServerOptions {
  readonly cert: string
  readonly key: string
  readonly clientAnchors: string | null
  readonly groups: readonly string[] | null
  readonly suites: readonly string[] | null
  readonly alpn: readonly string[] | null
  readonly staple: string | null
}

const options: NodeServerOptions = JSON.parse(process.argv[2] ?? '')
const server = createServer(tlsOptions(options), (socket) => {
  socket.on('error', ({ message }) => say(`broken: ${message}`))
  socket.write(`${JSON.stringify(reportOf(socket))}\n`)
  socket.pipe(socket)
})
server.on('tlsClientError', ({ message }) => say(`refused: ${message}`))
if (options.staple !== null) {
  const response = readFileSync(options.staple)
  server.on('OCSPRequest', (_certificate, _issuer, answer) => answer(null, response))
}
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') say(`listening on ${address.port}`)
})

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** OpenSSL's level 1 forbids the short tag of TLS_AES_128_CCM_8_SHA256. */
function tlsOptions({
  cert,
  key,
  clientAnchors,
  groups,
  suites,
  alpn,
}: NodeServerOptions): TlsOptions {
  return {
    minVersion: 'TLSv1.3',
    cert: readFileSync(cert),
    key: readFileSync(key),
    ...(clientAnchors === null
      ? {}
      : { requestCert: true, rejectUnauthorized: true, ca: readFileSync(clientAnchors) }),
    ...(groups === null ? {} : { ecdhCurve: groups.join(':') }),
    ...(suites === null ? {} : { ciphers: `${suites.join(':')}:DEFAULT@SECLEVEL=0` }),
    ...(alpn === null ? {} : { ALPNProtocols: [...alpn] }),
  }
}

function reportOf(socket: TLSSocket): Report {
  const { alpnProtocol } = socket
  return {
    resumed: socket.isSessionReused(),
    group: null,
    suite: socket.getCipher().standardName,
    alpn: typeof alpnProtocol === 'string' ? alpnProtocol : null,
    client: socket.getPeerX509Certificate()?.raw.toString('hex') ?? null,
  }
}
