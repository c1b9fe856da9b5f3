/**
 * Durable issuance: a request (PKCS#10) comes in over EST, its token, signature and names are
 * judged, everything unique is reserved, the certificate is signed and stored with `synchronous =
 * FULL` before the answer. Measured against what cannot be less (one verification and one signature
 * by OpenSSL) and against @peculiar/x509, which verifies a request and issues and stores nothing.
 */
// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 needs it loaded before itself
import 'reflect-metadata'
import { createPublicKey, sign, verify } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import * as x509 from '@peculiar/x509'
import {
  type House,
  makeHouse,
  newKey,
  requestFor,
} from '../packages/server/test/authority/house.ts'
import { Arena } from './arena.ts'
import { fsyncNote } from './fsync.ts'
import { overEst, overStepCa } from './issuanceWire.ts'
import { type Case, forAbout, measure, rateOf } from './measure.ts'
import { atLeast, type Report, rateTable } from './report.ts'
import { startStepCa, stepCaNote } from './stepCa.ts'

/** Requests in flight: what lets the store commit many with one fsync. */
const concurrency = 128
/** Requests made before each round, outside what is measured. */
const batch = 512

export async function run(): Promise<Report> {
  const house = await makeHouse()
  try {
    const cases = [bound(), await durable(house), await peculiar()]
    const figures = await measure(cases, { rounds: 3, milliseconds: 2500 })
    const wire = await overTheWire()
    const [limit, ours, theirs] = figures.map((figure) => figure.perCpuSecond)
    return {
      tables: [rateTable(figures, 'certificates'), ...wire.tables],
      goals: [
        ...atLeast('to the bound', ours, limit, 0.2),
        ...atLeast('to @peculiar/x509', ours, theirs, 6),
        ...wire.goals,
      ],
      notes: [...wire.notes, fsyncNote(house.directory)],
    }
  } finally {
    await house.close()
  }
}

async function overTheWire(): Promise<Report> {
  const names = {
    ours: '**countersign**, served: EST over https',
    step: 'step-ca: sign over https',
  }
  const arena = await Arena.open(1)
  try {
    const ca = await readFile(arena.house.files.serverCa, 'utf8')
    const cases = [await overEst(names.ours, arena, ca)]
    const step = await startStepCa(arena.house.folder)
    if (!('missing' in step)) {
      await arena.started(Promise.resolve(step))
      cases.push(overStepCa(names.step, step))
    }
    const figures = await measure(cases, { rounds: 3, milliseconds: 2500 })
    const ours = rateOf(figures, names.ours)
    return {
      tables: [rateTable(figures, 'certificates')],
      goals: atLeast('served, to step-ca', ours, rateOf(figures, names.step), 1),
      notes: ['missing' in step ? step.missing : stepCaNote],
    }
  } finally {
    await arena.close()
  }
}

function bound(): Case {
  const { key } = newKey()
  const publicKey = createPublicKey(key)
  const message = Buffer.alloc(300, 7)
  const signature = sign('sha256', message, key)
  return {
    name: 'bound: 1 verify + 1 sign, keys kept',
    run: (milliseconds) =>
      forAbout(milliseconds, () => {
        verify('sha256', message, publicKey, signature)
        sign('sha256', message, key)
      }),
  }
}

async function durable(house: House): Promise<Case> {
  const far = house.clock.now() + 365 * 86_400_000
  const { token } = await house.registry.invite({
    product: 'default',
    count: 10_000_000,
    expiresAt: far,
  })
  const authorization = `Basic ${Buffer.from(`token:${token}`).toString('base64')}`
  let serial = 0
  const makeRequests = (count: number): Promise<readonly Uint8Array[]> =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const der = await requestFor(`BENCH-${++serial}`, newKey().signer)
        return Buffer.from(Buffer.from(der).toString('base64'))
      }),
    )
  const ask = async (body: Uint8Array): Promise<void> => {
    const answer = await house.authority.est({
      method: 'POST',
      operation: 'simpleenroll',
      contentType: 'application/pkcs10',
      body,
      authorization,
      peer: undefined,
      peerAddress: '192.0.2.1',
    })
    if (answer.status !== 200) throw new Error(String(answer.body))
  }
  const stock: Uint8Array[] = []
  return {
    name: 'countersign: EST, judged, durably stored',
    prepare: async () => {
      while (stock.length < batch * 24) stock.push(...(await makeRequests(batch)))
    },
    run: async (milliseconds) => {
      const end = performance.now() + milliseconds
      let units = 0
      const worker = async (): Promise<void> => {
        while (performance.now() < end) {
          const body = stock.pop()
          if (body === undefined) return
          await ask(body)
          units++
        }
      }
      await Promise.all(Array.from({ length: concurrency }, worker))
      return units
    },
  }
}

async function peculiar(): Promise<Case> {
  const { subtle } = globalThis.crypto
  x509.cryptoProvider.set(globalThis.crypto)
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const caKeys = await subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const deviceKeys = await subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: '2.5.4.5=BENCH-1',
    keys: deviceKeys,
    signingAlgorithm: algorithm,
  })
  const der = request.rawData
  const issuer = 'CN=bench CA'
  const keyId = await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey)
  return {
    name: '@peculiar/x509: verify and issue, not stored',
    run: (milliseconds) =>
      forAbout(milliseconds, async () => {
        const asked = new x509.Pkcs10CertificateRequest(der)
        if (!(await asked.verify())) throw new Error('not verified')
        await x509.X509CertificateGenerator.create({
          serialNumber: `40${'00'.repeat(15)}`,
          subject: asked.subject,
          issuer,
          notBefore: new Date(),
          notAfter: new Date(Date.now() + 1e10),
          signingAlgorithm: algorithm,
          publicKey: asked.publicKey,
          signingKey: caKeys.privateKey,
          extensions: [
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
            new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
            keyId,
          ],
        })
      }),
  }
}
