/** `countersign init`: a new data folder with its authorities. */
import type { Command } from 'commander'
import { addCommand, type Line } from './command.ts'
import { pinAsker, readPassphrase } from './passphrase.ts'
import { record, type Terminal } from './terminal.ts'

export function addInit(program: Command, terminal: Terminal): void {
  addCommand(program, terminal, {
    usage: 'init',
    summary: 'Make a data folder: a root, one issuing CA per role, and the server certificate.',
    example: 'init --host iot.example.com --passphrase-file /run/secrets/countersign',
    folder: true,
    options: [
      {
        flags: '--host <name>',
        text: 'name or address of the server (repeat for more); localhost is always in',
        many: true,
      },
      {
        flags: '--ca-token <url>',
        text: 'make the CA keys inside this PKCS#11 token: pkcs11:token=…?module-path=…&pin-source=file:…',
      },
      { flags: '--dev', text: 'make a passphrase and keep it beside the data: not for production' },
    ],
    run: init,
  })
}

async function init(line: Line): Promise<void> {
  const { createFolder } = await import('@countersign/server')
  const { dir, terminal } = line
  const dev = line.flag('dev')
  const made = await terminal.during(
    'making keys and certificates',
    createFolder(dir, {
      hosts: line.many('host'),
      demo: false,
      caToken: line.optional('caToken'),
      ...pinAsker(terminal),
      ...(dev
        ? {}
        : {
            passphrase: () =>
              readPassphrase({
                file: line.optional('passphraseFile'),
                dir,
                terminal,
                confirm: true,
              }),
          }),
    }),
  )
  terminal.data(made, () =>
    record([
      ['data folder', made.dir],
      ['server names', made.hosts.join(' ')],
      ['anchor', made.anchor],
      ...(made.caToken === null ? [] : [['CA keys in token', made.caToken] as const]),
    ]),
  )
  if (dev) {
    terminal.warn(
      'the passphrase of the keys lies beside the data (dev-passphrase). This is not for production.',
    )
  } else {
    terminal.words('Keep the passphrase: without it every key in the folder is lost.')
  }
  terminal.words(
    made.caToken === null
      ? 'keys/root.key is needed only for "ca rollover": carry it away to a safe place.'
      : `The keys of root and CAs are in the token ${made.caToken} alone: no backup of this folder has them.`,
  )
  terminal.words(`Next: countersign serve --dir ${dir}`)
}
