/** `countersign verify`: the face of the one judge of chains. Needs no data folder. */
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { CallerError } from '@countersign/core/errors'
import type { Command } from 'commander'
import type { ChainAnswer, VerifyPurpose } from '../verify/chain.ts'
import { addCommand, type Line } from './command.ts'
import { type Terminal, table } from './terminal.ts'
import { parseTime } from './time.ts'

// Named here too: the judge is loaded only when it is needed.
const purposes: readonly VerifyPurpose[] = ['device', 'server', 'ca']

export function addVerify(program: Command, terminal: Terminal): void {
  addCommand(program, terminal, {
    usage: 'verify [leaf]',
    summary: 'Judge a certificate chain and say why it is good or not.',
    example: 'verify --anchors root.pem --purpose server --name iot.example.com leaf.pem',
    options: [
      {
        flags: '--anchors <file>',
        text: 'PEM of those that are believed (repeat for more)',
        many: true,
      },
      { flags: '--intermediates <file>', text: 'PEM between (repeat for more)', many: true },
      { flags: '--crl <file>', text: 'PEM of revocation lists (repeat for more)', many: true },
      { flags: '--at <time>', text: 'RFC 3339 or a duration from now (default: now)' },
      {
        flags: '--purpose <purpose>',
        text: 'what the leaf is for',
        choices: purposes,
      },
      { flags: '--name <name>', text: 'DNS name, IP address or mail address it must have' },
      {
        flags: '--batch',
        text: 'judge JSON lines of stdin, or of the file named, one answer a line',
      },
    ],
    notes:
      'With --batch each line is {id, anchors[], intermediates[], leaf, crls[], time, purpose, name?, depthMax?} with PEM texts and\neach answer {id, ok, code, where, hint}; exit 0 when every line was judged.',
    run: async (line) => {
      if (line.flag('batch')) await batch(line)
      else await one(line)
    },
  })
}

async function one(line: Line): Promise<void> {
  const [{ referenceName, verifyChain }, { nodeCrypto }] = await Promise.all([
    import('../verify/chain.ts'),
    import('@countersign/element/nodeCrypto'),
  ])
  const leaf = line.args[0]
  const anchors = line.many('anchors')
  if (leaf === undefined || anchors.length === 0) {
    throw new CallerError(
      'ERR_USAGE',
      leaf === undefined ? 'no certificate was named' : '--anchors is missing',
      {},
      {
        where: leaf === undefined ? 'leaf' : '--anchors',
        hint: 'Example: countersign verify --anchors root.pem leaf.pem',
      },
    )
  }
  const at = line.optional('at')
  const name = line.optional('name')
  const answer = verifyChain(
    {
      leaf: await source(leaf),
      anchors: await Promise.all(anchors.map(source)),
      intermediates: await Promise.all(line.many('intermediates').map(source)),
      crls: await Promise.all(line.many('crl').map(source)),
      at: at === undefined ? Date.now() : parseTime(at, Date.now(), '--at'),
      purpose: line.choice('purpose', purposes),
      name: name === undefined ? undefined : referenceName(name),
    },
    nodeCrypto,
  )
  line.terminal.data(answer, () => pathTable(answer))
  line.terminal.words(`good until ${answer.notAfter}`)
}

function pathTable(answer: ChainAnswer): string {
  return table(
    ['link', 'subject', 'not after', 'fingerprint'],
    answer.path.map((link, index) => [index, link.subject, link.notAfter, link.fingerprint]),
  )
}

async function source(file: string): Promise<{ readonly where: string; readonly text: string }> {
  return { where: file, text: await readFile(file, 'latin1') }
}

async function batch(line: Line): Promise<void> {
  const [{ answerBatch }, { nodeCrypto }] = await Promise.all([
    import('../verify/batch.ts'),
    import('@countersign/element/nodeCrypto'),
  ])
  const { terminal } = line
  const file = line.args[0] ?? '-'
  const questions = file === '-' ? terminal.stdin : createReadStream(file)
  for await (const { answer, judged } of answerBatch(questions, {
    crypto: nodeCrypto,
    now: Date.now(),
  })) {
    terminal.document(answer)
    if (!judged) terminal.exitCode = 1
  }
}
