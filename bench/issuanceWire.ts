/**
 * Issuance over the wire, as devices and factories have it: our EST on the served https door, and
 * step-ca's JSON API. Both keep their connections open, both have each certificate on disk before
 * they answer; the CPU time is the server's.
 */
import { Agent, request } from 'node:https'
import { attributeOid, createCertificateRequest } from '@countersign/core/credential'
import { newKey } from '../packages/server/test/authority/house.ts'
import type { Arena } from './arena.ts'
import type { Case } from './measure.ts'
import { cpuSeconds } from './processes.ts'
import { serveHouse } from './servedHouse.ts'
import type { StepCa } from './stepCa.ts'

/** Requests in flight. */
const atOnce = 64
/** Enough for a round; made before it. */
const stockSize = 6000

/** What is sent for one certificate. */
interface Asked {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

interface Wire {
  readonly port: number
  readonly ca: string
}

export async function overEst(name: string, arena: Arena, ca: string): Promise<Case> {
  const server = await arena.started(serveHouse(arena.house.dir))
  const operator = await arena.operator()
  const expiresAt = Date.now() + 86_400_000
  const { token } = await operator.call('identity.invite', {
    product: 'default',
    count: 100_000,
    expiresAt,
  })
  await operator.close()
  const headers = {
    Authorization: `Basic ${Buffer.from(`token:${token}`).toString('base64')}`,
    'Content-Type': 'application/pkcs10',
  }
  const path = '/.well-known/est/simpleenroll'
  return wireCase(name, server.pid, { port: server.httpsPort, ca }, async (number) => {
    const type = attributeOid.serialNumber
    const subject = [{ type, value: `WIRE-${number}` }]
    const der = await createCertificateRequest({ subject, altNames: [], signer: newKey().signer })
    return { path, headers, body: Buffer.from(der).toString('base64') }
  })
}

export function overStepCa(name: string, step: StepCa): Case {
  const headers = { 'Content-Type': 'application/json' }
  return wireCase(name, step.pid, { port: step.port, ca: step.root }, async (number) => {
    const value = `wire-${number}`
    const der = await createCertificateRequest({
      subject: [{ type: attributeOid.commonName, value }],
      altNames: [{ kind: 'dns', value }],
      signer: newKey().signer,
    })
    const lines = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n')
    const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${lines}\n-----END CERTIFICATE REQUEST-----\n`
    return { path: '/1.0/sign', headers, body: step.request(value, pem) }
  })
}

function wireCase(
  name: string,
  pid: number,
  wire: Wire,
  make: (number: number) => Promise<Asked>,
): Case {
  const stock: Asked[] = []
  let number = 0
  return {
    name,
    cpuSeconds: () => cpuSeconds(pid),
    prepare: async () => {
      while (stock.length < stockSize) stock.push(await make(++number))
    },
    run: async (milliseconds) => {
      const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
      const end = performance.now() + milliseconds
      let units = 0
      const worker = async (): Promise<void> => {
        for (let next = stock.pop(); next !== undefined; next = stock.pop()) {
          if (performance.now() > end) return
          await post(agent, wire, next)
          units++
        }
      }
      await Promise.all(Array.from({ length: atOnce }, worker))
      agent.destroy()
      return units
    },
  }
}

function post(agent: Agent, { port, ca }: Wire, { path, headers, body }: Asked): Promise<void> {
  return new Promise((resolve, reject) => {
    const trust = { servername: 'localhost', ca, allowPartialTrustChain: true }
    const to = { host: '127.0.0.1', port, ...trust }
    const asked = request({ ...to, agent, method: 'POST', path, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.on('end', () => {
        if (Math.floor((response.statusCode ?? 0) / 100) === 2) resolve()
        else reject(new Error(`${response.statusCode} ${text}`))
      })
    })
    asked.on('error', reject).end(body)
  })
}
