/**
 * The root's CRL. Its key is away from the house, so its list is signed when the key is at hand, at
 * the founding and at each rollover, and is believed for long. It is there for stock clients that
 * check the whole chain; the house's own judge never asks the root.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Signer } from '@countersign/core/ports'
import { writeDurably } from '@countersign/element/durable'
import type { CaRow, Store } from '../ports.ts'
import { signCrl } from './crl.ts'
import { decodeCa } from './founding.ts'
import { RevokedList } from './revokedList.ts'

/** Until the next rollover, or until the operator brings the key: five years. */
const validityMs = 5 * 365 * 86_400_000
const pageRows = 500

export async function writeRootCrl(
  parts: { readonly store: Store; readonly clock: Clock; readonly directory: string },
  root: CaRow,
  signer: Signer,
): Promise<void> {
  const { store, clock, directory } = parts
  await store.apply({
    writes: [{ kind: 'add', table: 'ca', key: root.name, column: 'crlNumber', by: 1 }],
  })
  const number = (await store.get('ca', root.name))?.crlNumber ?? 1
  const { certificate, keyId } = decodeCa(root.der)
  const thisUpdate = Math.floor(clock.now() / 1000) * 1000
  const der = await signCrl(
    {
      issuer: certificate.subject.der,
      keyId,
      number,
      thisUpdate,
      nextUpdate: thisUpdate + validityMs,
      revoked: await revokedByRoot(store),
    },
    signer,
  )
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeDurably(rootCrlFile(directory), der)
}

export function readRootCrl(directory: string): Promise<Uint8Array> {
  return readFile(rootCrlFile(directory))
}

function rootCrlFile(directory: string): string {
  return join(directory, 'root.crl')
}

async function revokedByRoot(store: Store): Promise<RevokedList> {
  const list = new RevokedList()
  let after: string | undefined
  for (;;) {
    const rows = await store.find('certificate', 'status', 'revoked', {
      limit: pageRows,
      ...(after === undefined ? {} : { after }),
    })
    for (const { ca, serial, reason, notAfter, revokedAt } of rows) {
      if (ca === 'root') list.add({ serial, reason, notAfter, revokedAt: revokedAt ?? 0 })
    }
    after = rows.at(-1)?.serial
    if (rows.length < pageRows) return list
  }
}
