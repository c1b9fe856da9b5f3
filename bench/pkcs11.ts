/**
 * Signing in a token through the port of secure elements, against pkcs11js bare: C_SignInit and
 * C_Sign on one session that is kept open, which keeps the turn, and the same by the thread pool. The
 * token is SoftHSM: it answers in tens of microseconds, so that what stands above it shows.
 */
import { randomBytes } from 'node:crypto'
import type { Cryptoki, Handle } from '../packages/element/src/drivers/pkcs11/cryptoki.ts'
import {
  openPkcs11Element,
  type Pkcs11Element,
} from '../packages/element/src/drivers/pkcs11/index.ts'
import { findKey } from '../packages/element/src/drivers/pkcs11/keys.ts'
import { loadCryptoki, loadLibrary } from '../packages/element/src/drivers/pkcs11/native.ts'
import { modulePath, skip, softTokens } from '../packages/element/test/pkcs11/softhsm.ts'
import { type Case, forAbout, measure } from './measure.ts'
import { atLeast, type Report, rateTable } from './report.ts'

/** As many as a busy authority has under way. */
const inFlight = 64
/** As many as Node's thread pool has threads. */
const bareSessions = 4
const digest = randomBytes(32)
/** CKM_ECDSA. */
const ecdsa = { mechanism: 0x1041 }

export async function run(): Promise<Report> {
  if (skip !== false) return { tables: [], goals: [], notes: [`Not measured: ${skip}.`] }
  const element = await openPkcs11Element(softTokens()('bench').url('key'))
  await element.generateKey(0)
  try {
    const figures = await measure(await casesOf(element), { rounds: 5, milliseconds: 1500 })
    const [bare, , single, many] = figures.map(({ perCpuSecond }) => perCpuSecond)
    return {
      tables: [rateTable(figures, 'signatures')],
      goals: [
        ...atLeast('one at a time, to bare', single, bare, 0.7),
        ...atLeast(`${inFlight} in flight, to bare`, many, bare, 0.7),
      ],
      notes: [
        'SoftHSM and a key of P-256; the module is the same for all cases, and initialized once.',
        'Bare keeps the turn of the process while the token works; the port does so only for a token that answers within a millisecond.',
      ],
    }
  } finally {
    await element.close()
  }
}

async function casesOf(element: Pkcs11Element): Promise<readonly Case[]> {
  const cryptoki = await loadCryptoki(modulePath)
  const sessions = Array.from({ length: bareSessions }, () => sessionOf(cryptoki))
  const bare = new (await loadLibrary()).PKCS11()
  bare.load(modulePath)
  const out = Buffer.alloc(64)
  const [first] = sessions
  if (first === undefined) throw new Error('no session')
  const key = findKey(cryptoki, first, 'key', 'bench')?.privateKey
  if (key === undefined) throw new Error('no key')
  return [
    {
      name: 'pkcs11js, one session',
      run: (milliseconds) =>
        forAbout(milliseconds, () => {
          bare.C_SignInit(first, ecdsa, key)
          bare.C_Sign(first, digest, out)
        }),
    },
    {
      name: `pkcs11js, ${bareSessions} sessions by the thread pool`,
      run: (milliseconds) =>
        together(
          sessions.map((session) => {
            const own = Buffer.alloc(64)
            return () => {
              bare.C_SignInit(session, ecdsa, key)
              return bare.C_SignAsync(session, digest, own)
            }
          }),
          milliseconds,
        ),
    },
    {
      name: '**countersign**, one at a time',
      run: (milliseconds) => together([() => element.sign(0, digest)], milliseconds),
    },
    {
      name: `**countersign**, ${inFlight} in flight`,
      run: (milliseconds) =>
        together(
          Array.from({ length: inFlight }, () => () => element.sign(0, digest)),
          milliseconds,
        ),
    },
  ]
}

/** The library is initialized and the process logged in: the element has done both. */
function sessionOf(cryptoki: Cryptoki): Handle {
  for (const slot of cryptoki.slots()) {
    if (cryptoki.tokenInfo(slot).label === 'bench') return cryptoki.openSession(slot, false)
  }
  throw new Error('the token of the benchmark is gone')
}

async function together(
  works: readonly (() => Promise<unknown>)[],
  milliseconds: number,
): Promise<number> {
  const counts = await Promise.all(
    works.map((work) => forAbout(milliseconds, async () => void (await work()))),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}
