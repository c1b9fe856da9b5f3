/**
 * `countersign ca …` and `ca anchor …`: the authorities of the house, what they issued and whom we
 * believe.
 */
import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Role } from '@countersign/core/credential'
import { type OwnCertificateDocument, revocationReasons } from '@countersign/server/control'
import type { Command } from 'commander'
import { readBase64 } from './application.ts'
import { addCommand, type Line, oneOf } from './command.ts'
import { ask, withHouse } from './house.ts'
import { readPassphrase } from './passphrase.ts'
import { record, type Terminal, table } from './terminal.ts'
import { parseTime } from './time.ts'

const roles: readonly Role[] = ['maker', 'owner', 'server', 'operator']
/** Those whom elements are believed by: never in what a TLS client takes. */
const elementRoles = ['attestation', 'manifest'] as const
const foreignRoles = ['maker', ...elementRoles] as const
const anchorRoles = [...roles, ...elementRoles] as const
const profiles = ['server', 'operator', 'application', 'idevid'] as const

export function addCa(program: Command, terminal: Terminal): void {
  const ca = program
    .command('ca')
    .description('Certification authorities, revocation, trust anchors.')
  addCommand(ca, terminal, {
    usage: 'show [name]',
    summary:
      'Show the authorities of this house; of the server CA, what the server itself shows too.',
    example: 'ca show server',
    folder: true,
    options: [{ flags: '--pem', text: 'print the certificates' }],
    run: show,
  })
  addCommand(ca, terminal, {
    usage: 'issue',
    summary: 'Issue a certificate for a request (PKCS#10) after checking that it holds its key.',
    example: 'ca issue --profile operator --csr admin.csr > admin.pem',
    folder: true,
    options: [
      {
        flags: '--profile <profile>',
        text: 'what it is for',
        choices: profiles,
        required: true,
      },
      { flags: '--csr <file>', text: 'PKCS#10 request, PEM or DER', required: true },
      { flags: '--host <name>', text: 'name or address of a server (repeat for more)', many: true },
      { flags: '--days <n>', text: 'days it is valid' },
      { flags: '--product <name>', text: 'product of the device of an IDevID (default: default)' },
    ],
    notes:
      'With --profile idevid the maker CA makes a factory certificate for a new device: the subject of the request\nnames its serialNumber, and a product that takes factory certificates lets it in.',
    run: issue,
  })
  addCommand(ca, terminal, {
    usage: 'revoke <serial>',
    summary: 'Revoke one certificate by its serial number (hex).',
    example: 'ca revoke 4f2a90c1 --reason superseded',
    folder: true,
    options: [
      {
        flags: '--reason <reason>',
        text: 'as in RFC 5280',
        choices: revocationReasons,
        default: 'unspecified',
      },
    ],
    run: revoke,
  })
  addCommand(ca, terminal, {
    usage: 'crl [name]',
    summary: 'Print the revocation list of an authority (default: owner).',
    example: 'ca crl owner --out owner.crl',
    folder: true,
    options: [{ flags: '--out <file>', text: 'write DER to a file instead of PEM to stdout' }],
    run: crl,
  })
  addCommand(ca, terminal, {
    usage: 'rollover <role>',
    summary:
      'Make a new issuing CA for a role with the root key; the old one is believed until it ends.',
    example: 'ca rollover owner --root-key /media/safe/root.key',
    folder: true,
    options: [
      { flags: '--root-key <file>', text: 'where root.key is kept (default: the data folder)' },
      {
        flags: '--root-passphrase-file <file>',
        text: "passphrase of root.key (default: the folder's)",
      },
    ],
    run: rollover,
  })
  addAnchor(ca, terminal)
}

function addAnchor(ca: Command, terminal: Terminal): void {
  const anchor = ca.command('anchor').description('Whom this house believes, per role.')
  addCommand(anchor, terminal, {
    usage: 'add <file>',
    summary: "Believe a foreign maker's issuing CA within bounds, or who vouches for elements.",
    example: 'ca anchor add maker.pem --product thermometer --serial-pattern "TH-*"',
    folder: true,
    options: [
      {
        flags: '--role <role>',
        text: "what it vouches for; the other roles are the house's own",
        choices: foreignRoles,
        default: 'maker',
      },
      { flags: '--product <name>', text: 'only for this product' },
      { flags: '--serial-pattern <pattern>', text: 'only these serial numbers' },
      { flags: '--until <time>', text: 'RFC 3339 or a duration from now' },
      { flags: '--assurance-cap <0-4>', text: 'most assurance it can give' },
    ],
    notes:
      'maker: issues certificates of devices. attestation: the root under which elements attest their keys.\nmanifest: the certificate of who signs manifests of elements ("factory import"). The last two take\nno bounds but --assurance-cap, and are never believed in TLS.',
    run: addForeign,
  })
  addCommand(anchor, terminal, {
    usage: 'list',
    summary:
      'List the anchors; with --pem, what a stock client takes as --cafile (the root included).',
    example: 'ca anchor list --role server --pem > server-anchor.pem',
    folder: true,
    options: [
      { flags: '--role <role>', text: 'only this role', choices: anchorRoles },
      { flags: '--pem', text: 'print the certificates' },
    ],
    run: listAnchors,
  })
  addCommand(anchor, terminal, {
    usage: 'remove <fingerprint>',
    summary: 'Stop believing an anchor; sessions that rest on it end.',
    example: 'ca anchor remove 9f86d081884c7d65',
    folder: true,
    run: async (line) => {
      const removed = await ask(line, 'anchor.remove', { fingerprint: line.argument(0) })
      line.terminal.data(removed, () => record([['removed', removed.fingerprint]]))
    },
  })
}

async function show(line: Line): Promise<void> {
  const rows = await ask(line, 'ca.show', { name: line.args[0] })
  line.terminal.data(rows, () => {
    if (line.flag('pem')) return rows.map((row) => row.pem).join('')
    const cas = table(
      ['name', 'role', 'status', 'not after', 'crl', 'anchor (SHA-256 of its key)'],
      rows.map((row) => [
        row.name,
        row.role,
        row.status,
        row.notAfter,
        row.crlNumber,
        // Devices pin it: never shortened.
        row.anchor,
      ]),
    )
    const own = line.args[0] === undefined ? [] : rows.flatMap((row) => row.own)
    return own.length === 0 ? cas : `${cas}\n\n${ownTable(own)}`
  })
}

/** What the server itself shows. `ca revoke` takes the serial. */
function ownTable(own: readonly OwnCertificateDocument[]): string {
  return table(
    ['profile', 'state', 'kid', 'status', 'not after', 'serial'],
    own.map((one) => [
      one.profile,
      stateOf(one),
      one.kid ?? '',
      one.status,
      one.notAfter,
      one.serial,
    ]),
  )
}

function stateOf({ state, told }: OwnCertificateDocument): string {
  return told === null ? state : `${state}, ${told.confirmed} of ${told.devices} devices have it`
}

async function issue(line: Line): Promise<void> {
  const issued = await ask(line, 'ca.issue', {
    profile: oneOf(line.text('profile'), profiles, '--profile'),
    csr: await readBase64(line.text('csr')),
    hosts: line.many('host'),
    days: line.whole('days', { min: 1, max: 36_500 }),
    product: line.optional('product'),
  })
  line.terminal.data(issued, () => issued.pem)
  line.terminal.words(`Issued ${issued.serial}, valid until ${issued.notAfter}.`)
}

async function revoke(line: Line): Promise<void> {
  const revoked = await ask(line, 'ca.revoke', {
    serial: line.argument(0).toLowerCase().replaceAll(':', ''),
    reason: line.choice('reason', revocationReasons) ?? 'unspecified',
  })
  line.terminal.data(revoked, () =>
    record([
      ['serial', revoked.serial],
      ['status', revoked.status],
      ['reason', revoked.reason],
    ]),
  )
}

async function crl(line: Line): Promise<void> {
  const name = line.args[0] ?? 'owner'
  const { der } = await ask(line, 'ca.crl', { name })
  const file = line.optional('out')
  const bytes = Buffer.from(der, 'base64')
  if (file !== undefined) await writeFile(file, bytes)
  const document = { name, bytes: bytes.length, ...(file === undefined ? { der } : { file }) }
  line.terminal.data(document, () => (file === undefined ? pem('X509 CRL', der) : ''))
  if (file !== undefined) line.terminal.words(`Wrote ${bytes.length} bytes to ${file}.`)
}

async function rollover(line: Line): Promise<void> {
  const { dir, terminal } = line
  const role = oneOf(line.argument(0), roles, 'role')
  const file = line.optional('rootPassphraseFile') ?? line.optional('passphraseFile')
  const rootKey = line.optional('rootKey')
  const made = await withHouse(line, async (house) => {
    const [root] = await house.call('ca.show', { name: 'root' })
    return await house.call('ca.rollover', {
      role,
      rootKey: rootKey === undefined ? undefined : resolve(rootKey),
      // A key in the token has no passphrase of its own.
      rootPassphrase:
        root?.key === 'token' ? undefined : await readPassphrase({ file, dir, terminal }),
    })
  })
  terminal.data(made, () =>
    record([
      ['name', made.name],
      ['not after', made.notAfter],
      ['anchor', made.anchor],
    ]),
  )
}

async function addForeign(line: Line): Promise<void> {
  const until = line.optional('until')
  const added = await ask(line, 'anchor.add', {
    role: line.choice('role', foreignRoles) ?? 'maker',
    certificate: await readBase64(line.argument(0)),
    product: line.optional('product'),
    serialPattern: line.optional('serialPattern'),
    notAfter: until === undefined ? undefined : parseTime(until, Date.now(), '--until'),
    assuranceCap: line.assurance('assuranceCap'),
  })
  line.terminal.data(added, () =>
    record([
      ['fingerprint', added.fingerprint],
      ['subject', added.subject],
      ['role', added.role],
    ]),
  )
}

async function listAnchors(line: Line): Promise<void> {
  const role = line.choice('role', anchorRoles)
  const { anchors, root } = await withHouse(line, async (house) => ({
    anchors: await house.call('anchor.list', { role }),
    root: (await house.call('anchor.root', {})).pem,
  }))
  if (!line.flag('pem')) {
    line.terminal.data(anchors, () =>
      table(
        ['role', 'origin', 'subject', 'not after', 'product', 'most', 'fingerprint'],
        anchors.map((row) => [
          row.role,
          row.origin,
          row.subject,
          row.notAfter,
          row.product,
          row.assuranceCap,
          row.fingerprint,
        ]),
      ),
    )
    return
  }
  // Our own judge stops at the issuing CA; stock clients want a chain down to something
  // self-signed.
  const peers = anchors.filter((row) => !isOfElements(row.role))
  const bundle = isOfElements(role)
    ? anchors.map((row) => row.pem).join('')
    : peers.map((row) => row.pem).join('') + root
  line.terminal.data({ pem: bundle }, () => bundle)
}

function isOfElements(role: string | undefined): boolean {
  return elementRoles.some((one) => one === role)
}

function pem(label: string, base64: string): string {
  const lines = base64.match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
