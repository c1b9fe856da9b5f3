/**
 * An invitation as `identity invite --json` prints it, read by the device from a file or from
 * standard input: a token on the line would stand in the process list and in the history of the
 * shell.
 */
import { readFile, stat } from 'node:fs/promises'
import { CallerError } from '@countersign/core/errors'

export interface InvitationFile {
  readonly server?: string | undefined
  readonly token?: string | undefined
  readonly anchor?: string | undefined
  /** Of a server that speaks it. */
  readonly mqtts?: string | undefined
  readonly coap?: string | undefined
}

/** An invitation has some 300 bytes. */
const bytesMax = 16 * 1024

/** `-` is standard input. */
export async function readInvitation(
  from: string,
  stdin: AsyncIterable<Uint8Array | string>,
): Promise<InvitationFile> {
  const text = from === '-' ? await readAll(stdin) : await readBounded(from)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's own words would repeat the text, and with it the token.
    throw noInvitation(from, 'is not JSON')
  }
  if (typeof value !== 'object' || value === null) throw noInvitation(from, 'is not an object')
  const words: Readonly<Record<string, unknown>> = { ...value }
  const [server, token, anchor] = ['server', 'token', 'anchor'].map((name) => {
    const word = words[name]
    if (typeof word !== 'string') throw noInvitation(from, `has no "${name}"`)
    return word
  })
  return { server, token, anchor, ...roadIn(words, 'mqtts', from), ...roadIn(words, 'coap', from) }
}

function roadIn(
  words: Readonly<Record<string, unknown>>,
  road: 'mqtts' | 'coap',
  from: string,
): Pick<InvitationFile, 'mqtts' | 'coap'> {
  const url = words[road]
  if (url === undefined) return {}
  if (typeof url === 'string') return { [road]: url }
  throw noInvitation(from, `has a "${road}" that is no text`)
}

async function readBounded(file: string): Promise<string> {
  const { size } = await stat(file)
  if (size > bytesMax) throw noInvitation(file, `is longer than ${bytesMax} bytes`)
  return await readFile(file, 'utf8')
}

async function readAll(stream: AsyncIterable<Uint8Array | string>): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > bytesMax) throw noInvitation('-', `is longer than ${bytesMax} bytes`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function noInvitation(from: string, why: string): CallerError<'ERR_INVITATION_FILE'> {
  return new CallerError(
    'ERR_INVITATION_FILE',
    `the invitation ${why}`,
    {},
    {
      where: from === '-' ? 'standard input' : from,
      hint: 'Give what "countersign identity invite --json" printed, whole.',
    },
  )
}
