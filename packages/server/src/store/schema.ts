/**
 * The tables as data: which columns, of which kind, which of them is the key, what is unique, what
 * is indexed. Statements and row codecs of a store are made from this; the migrations make the same
 * tables, and a test compares the two.
 */
import type { Indexes, TableName, Tables } from '../ports.ts'

type BaseKind<V> = [V] extends [string] ? 'text' : [V] extends [number] ? 'integer' : 'blob'
/** `?`: may be null. */
type KindOf<V> = null extends V ? `${BaseKind<NonNullable<V>>}?` : BaseKind<V>

export interface Table<T extends TableName> {
  readonly key: keyof Tables[T] & string
  /** In the order of the row type. */
  readonly columns: { readonly [C in keyof Tables[T]]-?: KindOf<Tables[T][C]> }
  /** Beyond the key. */
  readonly unique: readonly (readonly (keyof Tables[T] & string)[])[]
  readonly indexes: readonly Indexes[T][]
}

export const schema: { readonly [T in TableName]: Table<T> } = {
  device: {
    key: 'id',
    columns: {
      id: 'text',
      eui64: 'text',
      serial: 'text',
      product: 'text',
      owner: 'text',
      state: 'text',
      assurance: 'integer',
      road: 'text?',
      firstSeen: 'integer?',
      lastSeen: 'integer?',
      reason: 'text?',
      resumeState: 'text?',
      createdAt: 'integer',
      version: 'integer',
      voucher: 'text?',
    },
    unique: [['serial', 'product']],
    indexes: ['serial', 'state', 'product'],
  },
  key: {
    key: 'spkiHash',
    columns: {
      spkiHash: 'text',
      spki: 'blob',
      holder: 'text',
      elementKind: 'text?',
      elementSerial: 'text?',
      slot: 'integer?',
      origin: 'text',
      evidence: 'blob?',
      verdict: 'text?',
      createdAt: 'integer',
      assurance: 'integer',
      evidenceFormat: 'text?',
      verifier: 'text?',
      judgedAt: 'integer?',
      voucher: 'text?',
      assuranceMax: 'integer',
    },
    unique: [],
    indexes: [],
  },
  element: {
    key: 'claim',
    columns: {
      claim: 'text',
      kind: 'text',
      device: 'text',
      createdAt: 'integer',
      voucher: 'text?',
    },
    unique: [],
    indexes: ['device'],
  },
  certificate: {
    key: 'serial',
    columns: {
      serial: 'text',
      ca: 'text',
      fingerprint: 'text?',
      x5t: 'text?',
      profile: 'text',
      device: 'text?',
      application: 'text?',
      spkiHash: 'text',
      der: 'blob?',
      status: 'text',
      notBefore: 'integer',
      notAfter: 'integer',
      revokedAt: 'integer?',
      reason: 'text?',
      overlapUntil: 'integer?',
      reservedUntil: 'integer',
      request: 'text',
      createdAt: 'integer',
    },
    unique: [['fingerprint']],
    indexes: ['fingerprint', 'x5t', 'device', 'application', 'status'],
  },
  ca: {
    key: 'name',
    columns: {
      name: 'text',
      role: 'text',
      der: 'blob',
      fingerprint: 'text',
      status: 'text',
      keyFile: 'text',
      crlNumber: 'integer',
      createdAt: 'integer',
    },
    unique: [],
    indexes: ['role'],
  },
  product: {
    key: 'name',
    columns: {
      name: 'text',
      credential: 'text',
      roads: 'text',
      assuranceMin: 'integer',
      validityDays: 'integer',
      renewalDays: 'integer',
      overlapDays: 'integer',
      serialPattern: 'text',
      euiFirst: 'text',
      euiLast: 'text',
      euiNext: 'text',
      messagesPerMinute: 'integer',
      createdAt: 'integer',
      version: 'integer',
      edhocSuiteMin: 'integer',
    },
    unique: [],
    indexes: [],
  },
  token: {
    key: 'id',
    columns: {
      id: 'text',
      hash: 'text',
      product: 'text',
      serial: 'text?',
      count: 'integer',
      used: 'integer',
      expiresAt: 'integer',
      createdAt: 'integer',
    },
    unique: [],
    indexes: [],
  },
  anchor: {
    key: 'fingerprint',
    columns: {
      fingerprint: 'text',
      role: 'text',
      der: 'blob',
      origin: 'text',
      product: 'text?',
      serialPattern: 'text?',
      notAfter: 'integer?',
      assuranceCap: 'integer',
      createdAt: 'integer',
    },
    unique: [],
    indexes: ['role'],
  },
  manifest: {
    key: 'serial',
    columns: {
      serial: 'text',
      digest: 'text',
      signer: 'text',
      partNumber: 'text',
      isEmulated: 'integer',
      jws: 'text',
      createdAt: 'integer',
    },
    unique: [],
    indexes: [],
  },
  manifestKey: {
    key: 'spkiHash',
    columns: { spkiHash: 'text', serial: 'text', slot: 'integer', point: 'blob' },
    unique: [],
    indexes: ['serial'],
  },
  application: {
    key: 'id',
    columns: {
      id: 'text',
      name: 'text',
      tokenHash: 'text',
      secret: 'blob',
      webhook: 'text?',
      webhookState: 'text',
      cursor: 'integer',
      createdAt: 'integer',
      version: 'integer',
    },
    unique: [['name'], ['tokenHash']],
    indexes: ['name', 'tokenHash'],
  },
  message: {
    key: 'seq',
    columns: {
      seq: 'integer',
      id: 'text',
      source: 'text',
      type: 'text',
      time: 'integer',
      body: 'text',
    },
    unique: [['source', 'id']],
    indexes: ['source'],
  },
  deadLetter: {
    key: 'id',
    columns: {
      id: 'text',
      application: 'text',
      seq: 'integer',
      body: 'text',
      attempts: 'integer',
      lastError: 'text',
      createdAt: 'integer',
    },
    unique: [],
    indexes: ['application'],
  },
  command: {
    key: 'id',
    columns: {
      id: 'text',
      device: 'text',
      waiting: 'text?',
      name: 'text',
      data: 'text',
      expiresAt: 'integer',
      state: 'text',
      reason: 'text?',
      result: 'blob?',
      resultType: 'text?',
      actor: 'text',
      createdAt: 'integer',
      deliveredAt: 'integer?',
      endedAt: 'integer?',
    },
    unique: [],
    indexes: ['device', 'waiting'],
  },
  mqttSession: {
    key: 'id',
    columns: {
      id: 'text',
      holder: 'text',
      clientId: 'text',
      subscriptions: 'text',
      received: 'text',
      position: 'integer',
      expiryMs: 'integer',
      leftAt: 'integer?',
      createdAt: 'integer',
    },
    unique: [],
    indexes: ['holder'],
  },
  coapContext: {
    key: 'id',
    columns: {
      id: 'text',
      device: 'text',
      fingerprint: 'text',
      context: 'blob',
      reserved: 'integer',
      highest: 'integer',
      accepted: 'integer',
      life: 'integer',
      sealed: 'integer',
      failed: 'integer',
      peerAddress: 'text',
      createdAt: 'integer',
      begun: 'integer',
      notAfter: 'integer',
      serverKind: 'text',
      confirmed: 'text?',
      state: 'text',
      reason: 'text?',
      endedAt: 'integer?',
      suite: 'integer',
    },
    unique: [],
    indexes: ['device'],
  },
  setting: {
    key: 'name',
    columns: { name: 'text', value: 'text' },
    unique: [],
    indexes: [],
  },
  event: {
    key: 'seq',
    columns: {
      seq: 'integer',
      time: 'integer',
      type: 'text',
      subject: 'text',
      actor: 'text',
      data: 'text',
      previous: 'text',
      hash: 'text',
    },
    unique: [],
    indexes: ['subject'],
  },
}

/** What a backup has no rows of: see the row types. */
export const leftOutOfBackups: readonly TableName[] = ['coapContext']

const columnNames: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(schema).map(([table, { columns }]) => [table, Object.keys(columns)]),
)

export function columnsOf(table: TableName): readonly string[] {
  return columnNames.get(table) ?? []
}

export function isTable(name: string): name is TableName {
  return Object.hasOwn(schema, name)
}
