/**
 * How the tables came to be, step by step. A step that a release has shipped is never edited: the
 * ledger in each database holds the SHA-256 of what was applied, and a difference is refused.
 * `schema.ts` describes the result of all of them.
 */
import { createHash } from 'node:crypto'

export interface Migration {
  readonly version: number
  readonly what: string
  readonly sql: string
}

export const migrations: readonly Migration[] = [
  {
    version: 1,
    what: 'the first tables',
    sql: `
CREATE TABLE device (
  id TEXT NOT NULL PRIMARY KEY, eui64 TEXT NOT NULL, serial TEXT NOT NULL, product TEXT NOT NULL, owner TEXT NOT NULL,
  state TEXT NOT NULL, assurance INTEGER NOT NULL, road TEXT, firstSeen INTEGER, lastSeen INTEGER, reason TEXT,
  resumeState TEXT, createdAt INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX device_serial_product ON device (serial, product);
CREATE INDEX device_state ON device (state, id);
CREATE INDEX device_product ON device (product, id);

CREATE TABLE key (
  spkiHash TEXT NOT NULL PRIMARY KEY, spki BLOB NOT NULL, holder TEXT NOT NULL, elementKind TEXT, elementSerial TEXT, slot INTEGER,
  origin TEXT NOT NULL, evidence BLOB, verdict TEXT, createdAt INTEGER NOT NULL
) STRICT;

CREATE TABLE element (
  serial TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, device TEXT NOT NULL, createdAt INTEGER NOT NULL
) STRICT;
CREATE INDEX element_device ON element (device, serial);

CREATE TABLE certificate (
  serial TEXT NOT NULL PRIMARY KEY, ca TEXT NOT NULL, fingerprint TEXT, x5t TEXT, profile TEXT NOT NULL, device TEXT,
  application TEXT, spkiHash TEXT NOT NULL, der BLOB, status TEXT NOT NULL, notBefore INTEGER NOT NULL,
  notAfter INTEGER NOT NULL, revokedAt INTEGER, reason TEXT, overlapUntil INTEGER, reservedUntil INTEGER NOT NULL,
  request TEXT NOT NULL, createdAt INTEGER NOT NULL
) STRICT;
-- The x5t is the beginning of the fingerprint: a range of this index finds it.
CREATE UNIQUE INDEX certificate_fingerprint ON certificate (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX certificate_device ON certificate (device, serial) WHERE device IS NOT NULL;
CREATE INDEX certificate_application ON certificate (application, serial) WHERE application IS NOT NULL;
-- Nobody asks for all issued or confirmed certificates by status: they are nearly all there are.
CREATE INDEX certificate_status ON certificate (status, serial) WHERE status IN ('reserved', 'revoked');

CREATE TABLE ca (
  name TEXT NOT NULL PRIMARY KEY, role TEXT NOT NULL, der BLOB NOT NULL, fingerprint TEXT NOT NULL, status TEXT NOT NULL,
  keyFile TEXT NOT NULL, crlNumber INTEGER NOT NULL, createdAt INTEGER NOT NULL
) STRICT;

CREATE TABLE product (
  name TEXT NOT NULL PRIMARY KEY, credential TEXT NOT NULL, roads TEXT NOT NULL, assuranceMin INTEGER NOT NULL,
  validityDays INTEGER NOT NULL, renewalDays INTEGER NOT NULL, overlapDays INTEGER NOT NULL, serialPattern TEXT NOT NULL,
  euiFirst TEXT NOT NULL, euiLast TEXT NOT NULL, euiNext TEXT NOT NULL, messagesPerMinute INTEGER NOT NULL,
  createdAt INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT;

CREATE TABLE token (
  id TEXT NOT NULL PRIMARY KEY, hash TEXT NOT NULL, product TEXT NOT NULL, serial TEXT, count INTEGER NOT NULL,
  used INTEGER NOT NULL, expiresAt INTEGER NOT NULL, createdAt INTEGER NOT NULL
) STRICT;

CREATE TABLE anchor (
  fingerprint TEXT NOT NULL PRIMARY KEY, role TEXT NOT NULL, der BLOB NOT NULL, origin TEXT NOT NULL, product TEXT,
  serialPattern TEXT, notAfter INTEGER, assuranceCap INTEGER NOT NULL, createdAt INTEGER NOT NULL
) STRICT;

CREATE TABLE application (
  id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, tokenHash TEXT NOT NULL, secret BLOB NOT NULL, webhook TEXT,
  webhookState TEXT NOT NULL, cursor INTEGER NOT NULL, createdAt INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX application_name ON application (name);
CREATE UNIQUE INDEX application_tokenHash ON application (tokenHash);

-- AUTOINCREMENT: a number is never used twice, also after the newest row is gone.
CREATE TABLE message (
  seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL,
  time INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX message_source_id ON message (source, id);

CREATE TABLE deadLetter (
  id TEXT NOT NULL PRIMARY KEY, application TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL,
  attempts INTEGER NOT NULL, lastError TEXT NOT NULL, createdAt INTEGER NOT NULL
) STRICT;
CREATE INDEX deadLetter_application ON deadLetter (application, id);

CREATE TABLE setting (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE event (
  seq INTEGER NOT NULL PRIMARY KEY, time INTEGER NOT NULL, type TEXT NOT NULL, subject TEXT NOT NULL, actor TEXT NOT NULL,
  data TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
) STRICT;
CREATE INDEX event_subject ON event (subject, seq);

-- One row: the head of the event chain, and the message up to which bodies have been forgotten.
CREATE TABLE house (
  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), eventSeq INTEGER NOT NULL, eventHash TEXT NOT NULL,
  trimmedSeq INTEGER NOT NULL
) STRICT;
INSERT INTO house VALUES (1, 0, '${'0'.repeat(64)}', 0);
`,
  },
  {
    version: 2,
    what: 'commands to devices, MQTT sessions',
    sql: `
CREATE TABLE command (
  id TEXT NOT NULL PRIMARY KEY, device TEXT NOT NULL, waiting TEXT, name TEXT NOT NULL, data TEXT NOT NULL,
  expiresAt INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT, result BLOB, resultType TEXT, actor TEXT NOT NULL,
  createdAt INTEGER NOT NULL, deliveredAt INTEGER, endedAt INTEGER
) STRICT;
CREATE INDEX command_device ON command (device, id);
CREATE INDEX command_waiting ON command (waiting, id) WHERE waiting IS NOT NULL;

CREATE TABLE mqttSession (
  id TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, clientId TEXT NOT NULL, subscriptions TEXT NOT NULL,
  received TEXT NOT NULL, position INTEGER NOT NULL, expiryMs INTEGER NOT NULL, leftAt INTEGER,
  createdAt INTEGER NOT NULL
) STRICT;
CREATE INDEX mqttSession_holder ON mqttSession (holder, id);
`,
  },
  {
    version: 3,
    what: 'the assurance of keys, manifests of elements',
    sql: `
ALTER TABLE key ADD COLUMN assurance INTEGER NOT NULL DEFAULT 0;
ALTER TABLE key ADD COLUMN evidenceFormat TEXT;
ALTER TABLE key ADD COLUMN verifier TEXT;
ALTER TABLE key ADD COLUMN judgedAt INTEGER;
ALTER TABLE key ADD COLUMN voucher TEXT;
ALTER TABLE key ADD COLUMN assuranceMax INTEGER NOT NULL DEFAULT 4;
ALTER TABLE device ADD COLUMN voucher TEXT;
ALTER TABLE element RENAME COLUMN serial TO claim;
ALTER TABLE element ADD COLUMN voucher TEXT;
-- Until now a device had one level for all its keys.
UPDATE key SET assurance = COALESCE((SELECT device.assurance FROM device WHERE device.id = key.holder), 0);

CREATE TABLE manifest (
  serial TEXT NOT NULL PRIMARY KEY, digest TEXT NOT NULL, signer TEXT NOT NULL, partNumber TEXT NOT NULL,
  isEmulated INTEGER NOT NULL, jws TEXT NOT NULL, createdAt INTEGER NOT NULL
) STRICT;

CREATE TABLE manifestKey (
  spkiHash TEXT NOT NULL PRIMARY KEY, serial TEXT NOT NULL, slot INTEGER NOT NULL, point BLOB NOT NULL
) STRICT;
CREATE INDEX manifestKey_serial ON manifestKey (serial, spkiHash);
`,
  },
  {
    version: 4,
    what: 'security contexts of devices on coap',
    sql: `
CREATE TABLE coapContext (
  id TEXT NOT NULL PRIMARY KEY, device TEXT NOT NULL, fingerprint TEXT NOT NULL, context BLOB NOT NULL,
  reserved INTEGER NOT NULL, highest INTEGER NOT NULL, accepted INTEGER NOT NULL, life INTEGER NOT NULL,
  sealed INTEGER NOT NULL, failed INTEGER NOT NULL, peerAddress TEXT NOT NULL, createdAt INTEGER NOT NULL,
  begun INTEGER NOT NULL, notAfter INTEGER NOT NULL, serverKind TEXT NOT NULL, confirmed TEXT, state TEXT NOT NULL, reason TEXT,
  endedAt INTEGER
) STRICT;
CREATE INDEX coapContext_device ON coapContext (device, id);
`,
  },
  {
    version: 5,
    what: 'suites of EDHOC, and the least one of a product',
    sql: `
ALTER TABLE product ADD COLUMN edhocSuiteMin INTEGER NOT NULL DEFAULT 2;
-- Nobody has written it down until now: the lesser one is supposed.
ALTER TABLE coapContext ADD COLUMN suite INTEGER NOT NULL DEFAULT 2;
`,
  },
]

export const dataVersion: number = migrations.length

export function migrationHash(migration: Migration): string {
  return createHash('sha256').update(`${migration.version}\n${migration.sql}`).digest('hex')
}
