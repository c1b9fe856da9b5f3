/**
 * Two processes with one chip behind `countersign element emulate`: each gets the signatures of its
 * own messages. RELAY_SIGNATURES=<number> asks for more of them.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openElement } from '@countersign/element/compose'
import { cleanEnvironment, outcome, start } from '../cli/bin.ts'

/** Of each process: a slice in the tests, many in a soak. */
const signatures = Number(process.env['RELAY_SIGNATURES'] ?? 10)
const signer = fileURLToPath(new URL('relaySigner.ts', import.meta.url))
/** SubjectPublicKeyInfo of P-256 up to the point (RFC 5480 §2). */
const spkiHead = '3059301306072a8648ce3d020106082a8648ce3d03010703420004'

for (const times of ['none', 'real'] as const)
  test(`two processes at one relay, execution times ${times}, get the signatures of their own messages`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-relay-'))
    t.after(() => rm(folder, { recursive: true, maxRetries: 5 }))
    const socket = join(folder, 'bus.sock')
    const file = join(folder, 'chip.json')
    const chip = start(['element', 'emulate', file, '--socket', socket, '--times', times, '--json'])
    t.after(async () => {
      chip.kill()
      if (chip.exitCode === null) await once(chip, 'close')
    })
    for await (const _ of createInterface({ input: chip.stdout })) break
    const url = `atecc608:relay:${socket}`
    const element = await openElement(url, { folder })
    const point = Buffer.from(await element.generateKey(0))
    await element.close()
    const key = createPublicKey({
      key: Buffer.concat([Buffer.from(spkiHead, 'hex'), point]),
      format: 'der',
      type: 'spki',
    })
    const both = ['one', 'other'].map(async (name) => {
      const args = [signer, url, name, String(signatures)]
      const { code, stdout, stderr } = await outcome(
        spawn(process.execPath, args, { env: cleanEnvironment() }),
      )
      assert.equal(code, 0, stderr)
      const lines = stdout.trim().split('\n')
      assert.equal(lines.length, signatures)
      let refusals = 0
      for (const [nth, line] of lines.entries()) {
        const {
          message,
          signature,
          refused,
        }: Record<'message' | 'signature', string> & {
          refused: number
        } = JSON.parse(line)
        assert.equal(message, `${name} ${nth}`)
        const bytes = Buffer.from(signature, 'hex')
        const isRight = verify(
          'sha256',
          Buffer.from(message),
          { key, dsaEncoding: 'ieee-p1363' },
          bytes,
        )
        assert.ok(isRight, `${message}: ${signature}`)
        refusals = refused
      }
      t.diagnostic(`${name}: ${refusals} of ${signatures} were asked for again`)
    })
    await Promise.all(both)
  })
