/** What a database of an earlier version holds is what the newer one reads of it. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import { migrations } from '../../src/store/migrations.ts'

const folder = await mkdtemp(join(tmpdir(), 'upgrade-'))
after(() => rm(folder, { recursive: true }))

test('a key of version 2 takes the level of its device, and an element stays claimed', () => {
  const db = new DatabaseSync(join(folder, 'store.db'))
  const [first, second, third] = migrations
  db.exec(first?.sql ?? '')
  db.exec(second?.sql ?? '')
  db.exec(`
    INSERT INTO device (id, eui64, serial, product, owner, state, assurance, createdAt, version)
      VALUES ('d1', '1', 'S1', 'p', 'house', 'active', 2, 1, 1);
    INSERT INTO key (spkiHash, spki, holder, origin, createdAt) VALUES
      ('k1', x'01', 'd1', 'software', 1), ('k2', x'02', 'd1', 'software', 2),
      ('k3', x'03', 'application:a', 'software', 3);
    INSERT INTO element (serial, kind, device, createdAt) VALUES ('0123', 'atecc608', 'd1', 1);
  `)
  db.exec(third?.sql ?? '')
  const rows = db
    .prepare('SELECT spkiHash, assurance, voucher, assuranceMax FROM key ORDER BY spkiHash')
    .all()
  assert.deepEqual(
    rows.map(({ spkiHash, ...row }) => [
      spkiHash,
      row['assurance'],
      row['voucher'],
      row['assuranceMax'],
    ]),
    [
      ['k1', 2, null, 4],
      ['k2', 2, null, 4],
      ['k3', 0, null, 4],
    ],
  )
  const elements = db.prepare('SELECT claim, device, voucher FROM element').all()
  assert.deepEqual(
    elements.map(({ claim, device, voucher }) => [claim, device, voucher]),
    [['0123', 'd1', null]],
  )
  db.close()
})

test('products and contexts of version 4 are of suite 2, as everything was', () => {
  const db = new DatabaseSync(join(folder, 'version4.db'))
  for (const { version, sql } of migrations) {
    if (version === 5) {
      db.exec(`
        INSERT INTO product VALUES ('p', 'either', '["coap"]', 0, 90, 30, 7, '*', '1', '2', '1', 600, 1, 1);
        INSERT INTO coapContext VALUES ('0a', 'd1', 'f1', x'01', 64, 1, 1, 1, 1, 0, '192.0.2.1:5683', 1, 1, 9,
          'signature', NULL, 'live', NULL, NULL);
      `)
    }
    db.exec(sql)
  }
  const product = db.prepare('SELECT name, edhocSuiteMin FROM product').get()
  assert.deepEqual({ ...product }, { name: 'p', edhocSuiteMin: 2 })
  const context = db.prepare('SELECT id, suite FROM coapContext').get()
  assert.deepEqual({ ...context }, { id: '0a', suite: 2 })
  db.close()
})
