/**
 * A CRL of 100,000 revoked certificates (16-octet serial numbers): built from the registry's rows,
 * and signed again after one more revocation. Anchor: the CPU time of `openssl ca -gencrl` over an
 * index of the same serial numbers.
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseCertificateList } from '@countersign/core/credential'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { signCrl } from '../packages/server/src/authority/crl.ts'
import { decodeCa } from '../packages/server/src/authority/founding.ts'
import { RevokedList } from '../packages/server/src/authority/revokedList.ts'
import { type House, makeHouse } from '../packages/server/test/authority/house.ts'
import { cpuMilliseconds, median, sorted } from './measure.ts'
import { atMost, type Report } from './report.ts'

const entries = 100_000
const rounds = 5

export async function run(): Promise<Report> {
  const house = await makeHouse()
  const folder = await mkdtemp(join(tmpdir(), 'bench-crl-'))
  try {
    const drawn = Array.from({ length: entries }, () => `40${randomBytes(15).toString('hex')}`)
    drawn.sort()
    // As the registry hands them out: in the order of the serial numbers, each text made as it is
    // read.
    const serials = drawn.map((serial) => Buffer.from(serial).toString('latin1'))
    const sign = await signerOf(house)
    const openssl = await prepareOpenssl(folder, serials)
    const times = { whole: [] as number[], again: [] as number[], openssl: [] as number[] }
    // One round more than is counted: compilation is not what is measured.
    for (let round = 0; round <= rounds; round++) {
      const whole = await timed(() => buildWhole(serials, house.clock.now(), sign))
      const again = await timed(() => oneMore(whole.result, house.clock.now(), sign))
      requireWhole(await sign(whole.result))
      const foreign = openssl()
      if (round === 0) continue
      times.whole.push(whole.milliseconds)
      times.again.push(again.milliseconds)
      times.openssl.push(foreign)
    }
    const [whole, again, foreign] = [times.whole, times.again, times.openssl].map((list) =>
      median(sorted(list)),
    )
    return {
      tables: [
        {
          columns: ['case', 'CPU'],
          rows: [
            [
              'a list of 100,000, built from the serial numbers in memory and signed',
              `${whole?.toFixed(0)} ms`,
            ],
            ['one revocation more, inserted and signed again', `${again?.toFixed(1)} ms`],
            ['`openssl ca -gencrl` of the same list', `${foreign?.toFixed(0)} ms`],
          ],
        },
      ],
      goals: [
        ...atMost('whole list to OpenSSL', whole, foreign, 0.2),
        ...atMost('one revocation more to OpenSSL', again, foreign, 0.05),
      ],
      notes: [],
    }
  } finally {
    await house.close()
    await rm(folder, { recursive: true, force: true })
  }
}

function requireWhole(der: Uint8Array): void {
  if (parseCertificateList(der).entryCount !== entries + 1) throw new Error('a CRL is not whole')
}

type Sign = (list: RevokedList) => Promise<Uint8Array>

async function signerOf(house: House): Promise<Sign> {
  const row = house.authority.cas().find((one) => one.name === 'owner')
  if (row === undefined) throw new Error('no owner CA')
  const signer = softwareSigner(await house.vault.openKey(row.keyFile))
  const { certificate, keyId } = decodeCa(row.der)
  const now = house.clock.now()
  let number = 0
  return (revoked) =>
    signCrl(
      {
        issuer: certificate.subject.der,
        keyId,
        number: ++number,
        thisUpdate: now,
        nextUpdate: now + 7 * 86_400_000,
        revoked,
      },
      signer,
    )
}

async function buildWhole(
  serials: readonly string[],
  now: number,
  sign: Sign,
): Promise<RevokedList> {
  const list = new RevokedList()
  for (const serial of serials) {
    list.add({ serial, revokedAt: now, reason: null, notAfter: now + 86_400_000 })
  }
  await sign(list)
  return list
}

async function oneMore(list: RevokedList, now: number, sign: Sign): Promise<void> {
  const serial = `40${randomBytes(15).toString('hex')}`
  list.add({ serial, revokedAt: now, reason: 'keyCompromise', notAfter: now + 86_400_000 })
  await sign(list)
}

async function timed<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly milliseconds: number }> {
  const before = process.cpuUsage()
  const result = await work()
  return { result, milliseconds: cpuMilliseconds(before) }
}

/**
 * A CA of OpenSSL with the same revocations; the function runs it once and answers its CPU time.
 */
async function prepareOpenssl(folder: string, serials: readonly string[]): Promise<() => number> {
  const openssl = (...args: readonly string[]): void =>
    void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'ca.key')
  openssl('req', '-x509', '-new', '-key', 'ca.key', '-subj', '/CN=bench', '-out', 'ca.pem')
  const lines = serials.map(
    (serial) => `R\t301231000000Z\t261123000000Z\t${serial.toUpperCase()}\tunknown\t/CN=x\n`,
  )
  await writeFile(join(folder, 'index.txt'), lines.join(''))
  await writeFile(join(folder, 'index.txt.attr'), 'unique_subject = no\n')
  await writeFile(join(folder, 'crlnumber'), '01\n')
  await writeFile(
    join(folder, 'ca.cnf'),
    '[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\ncrlnumber = crlnumber\ncertificate = ca.pem\n' +
      'private_key = ca.key\ndefault_md = sha256\ndefault_crl_days = 7\n',
  )
  const times = join(folder, 'times')
  return () => {
    // The shell's own clock of its children: user and system time of one run, start of the process
    // included.
    const script = `openssl ca -config ca.cnf -gencrl -out crl.pem 2>/dev/null; times > '${times}'`
    execFileSync('sh', ['-c', script], { cwd: folder })
    const text = execFileSync('sed', ['-n', '2p', times]).toString()
    const parts = [...text.matchAll(/(\d+)m([\d.]+)s/g)]
    return parts.reduce(
      (sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000,
      0,
    )
  }
}
