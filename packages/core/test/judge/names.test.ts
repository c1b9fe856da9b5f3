/**
 * Names: RFC 9525 for the one that is expected, RFC 5280 §4.2.1.10 for the ones that a CA may
 * certify.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { der, hex } from '@countersign/core/codec'
import {
  attributeOid,
  type Certificate,
  encodeName,
  type GeneralName,
  ipAddress,
  matchName,
  parseName,
  type ReferenceName,
} from '@countersign/core/credential'
import { nameOutside } from '../../src/credential/nameConstraints.ts'
import { root } from './world.ts'

let template: Certificate

before(async () => {
  template = (await root()).certificate
})

/** A parsed certificate with these names: what the parser would refuse can be tried too. */
function named(names: readonly GeneralName[], subject = encodeName([])): Certificate {
  const extensions = { ...template.extensions, subjectAltName: names }
  return { ...template, subject: parseName(subject), extensions }
}

const dns = (value: string): GeneralName => ({ kind: 'dns', value })
const email = (value: string): GeneralName => ({ kind: 'email', value })
const uri = (value: string): GeneralName => ({ kind: 'uri', value })
const ip = (...value: number[]): GeneralName => ({ kind: 'ip', value: Uint8Array.from(value) })
const directory = (...attributes: readonly [string, string][]): GeneralName => ({
  kind: 'directory',
  value: parseName(encodeName(attributes.map(([type, value]) => ({ type, value })))),
})

const long = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`

const dnsMatches: readonly [presented: string, expected: string, match: boolean][] = [
  ['pump.example.com', 'pump.example.com', true],
  ['PUMP.example.COM', 'pump.EXAMPLE.com', true],
  ['pump.example.com', 'pump.example.com.', true],
  ['pump.example.com', 'pump.example.com..', false],
  ['pump.example.com', 'example.com', false],
  ['example.com', 'pump.example.com', false],
  ['*.example.com', 'pump.example.com', true],
  ['*.example.com', 'example.com', false],
  ['*.example.com', 'a.pump.example.com', false],
  ['*.example.com', '.example.com', false],
  ['*.example.com', '*.example.com', false],
  ['p*.example.com', 'pump.example.com', false],
  ['*p.example.com', 'pump.example.com', false],
  ['pump.*.com', 'pump.example.com', false],
  ['*.*.com', 'pump.example.com', false],
  ['*', 'localhost', false],
  ['*.com', 'example.com', false],
  ['localhost', 'localhost', true],
  ['xn--bcher-kva.example', 'XN--BCHER-KVA.example', true],
  ['*.example', 'xn--bcher-kva.example', false],
  ['*.a.example', 'xn--bcher-kva.a.example', true],
  ['bücher.example', 'bücher.example', false],
  ['192.0.2.1', '192.0.2.1', false],
  ['pump_7.example.com', 'pump_7.example.com', true],
  ['-a.example.com', '-a.example.com', false],
  ['a..example.com', 'a..example.com', false],
  ['', '', false],
  [long, long, true],
  [`e.${long}`, `e.${long}`, false],
  [`${'a'.repeat(64)}.example.com`, `${'a'.repeat(64)}.example.com`, false],
  ['pump.example.com\0.evil.net', 'pump.example.com', false],
]

for (const [presented, expected, match] of dnsMatches) {
  const verb = match ? 'is' : 'is not'
  test(`DNS name ${JSON.stringify(expected).slice(0, 40)} ${verb} ${JSON.stringify(presented).slice(0, 40)}`, () => {
    const reference: ReferenceName = { kind: 'DNS', value: expected }
    assert.equal(matchName(named([dns(presented)]), reference).ok, match)
  })
}

test('a name is looked for among all of its kind and in no other kind', () => {
  const certificate = named([dns('a.example.com'), dns('b.example.com'), email('c@example.com')])
  const expects = (kind: ReferenceName['kind'], value: string): boolean =>
    matchName(certificate, { kind, value }).ok
  assert.ok(expects('DNS', 'b.example.com'))
  assert.ok(expects('email', 'c@EXAMPLE.com'))
  assert.ok(!expects('email', 'C@example.com'))
  assert.ok(!expects('DNS', 'example.com'))
  assert.ok(!expects('email', 'a.example.com'))
})

test('an address is compared as octets, in its own family', () => {
  const v4 = named([ip(192, 0, 2, 1)])
  const v6 = named([ip(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)])
  const mapped = named([ip(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1)])
  assert.ok(hasAddress(v4, '192.0.2.1'))
  assert.ok(!hasAddress(v4, '192.0.2.01'))
  assert.ok(!hasAddress(v4, '::ffff:192.0.2.1'))
  assert.ok(hasAddress(mapped, '::ffff:192.0.2.1'))
  assert.ok(!hasAddress(mapped, '192.0.2.1'))
  for (const text of ['2001:db8::1', '2001:DB8:0:0:0:0:0:1', '2001:0db8::0:1']) {
    assert.ok(hasAddress(v6, text), text)
  }
  assert.ok(!matchName(named([dns('192.0.2.1')]), { kind: 'IP', value: '192.0.2.1' }).ok)
})

function hasAddress(certificate: Certificate, value: string): boolean {
  return matchName(certificate, { kind: 'IP', value }).ok
}

test('text that is no address is none', () => {
  const wrong = '1.2.3,1.2.3.4.5,256.1.1.1,1.2.3.,0x1.2.3.4,::1::,1:2:3:4:5:6:7,1:2:3:4:5:6:7:8:9'
  const more = ':::,fe80::1%eth0,[::1],12345::,g::,1.2.3.4::,::1.2.3,1::2:3:4:5:6:7:8,'
  for (const text of [...wrong.split(','), ...more.split(',')]) {
    assert.equal(ipAddress(text), undefined, text)
  }
  assert.equal(ipAddress('::')?.length, 16)
})

test('the common name is never read', () => {
  const subject = encodeName([{ type: attributeOid.commonName, value: 'pump.example.com' }])
  const without = { ...named([], subject), extensions: { ...template.extensions } }
  const verdict = matchName(without, { kind: 'DNS', value: 'pump.example.com' })
  assert.ok(!verdict.ok && verdict.reason.includes('no subjectAltName'))
})

type Constrained = [says: string, name: GeneralName, base: GeneralName, inside: boolean | 'never']

const cidr = ip(192, 0, 2, 0, 255, 255, 255, 0)
const person = attributeOid.commonName
const unit = attributeOid.organizationName

const constrained: readonly Constrained[] = [
  ['a host', dns('example.com'), dns('example.com'), true],
  ['a host below', dns('a.b.EXAMPLE.com'), dns('example.COM'), true],
  ['a host beside', dns('badexample.com'), dns('example.com'), false],
  ['a host above', dns('com'), dns('example.com'), false],
  ['any host under the empty constraint', dns('example.com'), dns(''), true],
  ['a wildcard below', dns('*.example.com'), dns('example.com'), true],
  [
    'a host under a constraint with a leading period',
    dns('a.example.com'),
    dns('.example.com'),
    'never',
  ],
  ['a host with a trailing period', dns('example.com.'), dns('example.com'), 'never'],
  ['a mailbox by host', email('a@example.com'), email('example.com'), true],
  ['a mailbox of a host below', email('a@b.example.com'), email('example.com'), false],
  ['a mailbox by domain', email('a@b.example.com'), email('.example.com'), true],
  ['a mailbox of the domain itself', email('a@example.com'), email('.example.com'), false],
  ['a mailbox by itself', email('a@EXAMPLE.com'), email('a@example.com'), true],
  ['another mailbox', email('b@example.com'), email('a@example.com'), false],
  ['a quoted mailbox', email('"a@b"@example.com'), email('example.com'), 'never'],
  ['a URI by host', uri('https://user@example.com:8443/x?y#z'), uri('example.com'), true],
  ['a URI of a host below', uri('https://a.example.com/'), uri('example.com'), false],
  ['a URI by domain', uri('coaps://a.example.com'), uri('.example.com'), true],
  ['a URI that hides its host', uri('https://example.com@evil.net/'), uri('example.com'), false],
  ['a URI without authority', uri('urn:dev:mac:0024befffe804ff1'), uri('example.com'), 'never'],
  ['a URI of an address', uri('https://192.0.2.1/'), uri('example.com'), 'never'],
  ['an address in range', ip(192, 0, 2, 77), cidr, true],
  ['an address out of range', ip(192, 0, 3, 77), cidr, false],
  ['an IPv6 address under an IPv4 range', ip(...Array.from({ length: 16 }, () => 0)), cidr, false],
  [
    'an address under a mask with holes',
    ip(192, 0, 2, 1),
    ip(192, 0, 2, 0, 255, 0, 255, 0),
    'never',
  ],
  [
    'a directory name below',
    directory([unit, 'Acme'], [person, 'x']),
    directory([unit, 'Acme']),
    true,
  ],
  [
    'a directory name in other letters',
    directory([unit, ' ACME  Corp']),
    directory([unit, 'acme corp']),
    true,
  ],
  ['a directory name beside', directory([unit, 'Acme2']), directory([unit, 'Acme']), false],
  [
    'a directory name above',
    directory([unit, 'Acme']),
    directory([unit, 'Acme'], [person, 'x']),
    false,
  ],
  [
    'a registered identifier',
    { kind: 'registeredId', value: '1.2.3' },
    { kind: 'registeredId', value: '1.2.3' },
    'never',
  ],
  [
    'another name of the same type',
    { kind: 'other', type: '1.2.3', value: new Uint8Array() },
    { kind: 'other', type: '1.2.3', value: new Uint8Array() },
    'never',
  ],
  ['a name of another form', dns('example.net'), email('example.com'), true],
  [
    'another name of another type',
    { kind: 'other', type: '1.2.3', value: new Uint8Array() },
    { kind: 'other', type: '1.2.4', value: new Uint8Array() },
    true,
  ],
]

const free = (): void => undefined
const enough = (): never => {
  throw new RangeError('enough')
}

for (const [says, name, base, inside] of constrained) {
  const sameForm = name.kind === base.kind && !says.endsWith('of another type')
  const verb = inside === 'never' ? 'cannot be judged' : inside ? 'is inside' : 'is outside'
  test(`${says} ${verb}`, () => {
    assert.equal(outside(name, { permitted: [base] }), inside !== true, 'permitted')
    // A constraint on another form says nothing at all; one that cannot be judged refuses both
    // ways.
    assert.equal(
      outside(name, { excluded: [base] }),
      inside === 'never' || (inside && sameForm),
      'excluded',
    )
  })
}

interface Bases {
  readonly permitted?: readonly GeneralName[]
  readonly excluded?: readonly GeneralName[]
}

function outside(name: GeneralName, { permitted = [], excluded = [] }: Bases): boolean {
  const constraints = {
    permitted: permitted.map((base) => ({ base })),
    excluded: excluded.map((base) => ({ base })),
  }
  return nameOutside(named([name]), constraints, free) !== undefined
}

test('an exclusion also meets the wildcard that may stand for it, and no other', () => {
  const wildcard = dns('*.example.com')
  assert.ok(outside(wildcard, { excluded: [dns('bar.example.com')] }))
  assert.ok(!outside(wildcard, { excluded: [dns('foo.bar.example.com')] }))
  assert.ok(!outside(wildcard, { excluded: [dns('bar.example.net')] }))
})

test('an excluded mailbox is excluded in any letters', () => {
  const excluded = [{ base: email('Admin@example.com') }]
  assert.ok(nameOutside(named([email('admin@example.com')]), { permitted: [], excluded }, free))
})

test('a mailbox in the subject is constrained like one in the subjectAltName', () => {
  const subject = encodeName([{ type: attributeOid.emailAddress, value: 'a@example.net' }])
  const permitted = [{ base: email('example.com') }]
  assert.ok(nameOutside(named([], subject), { permitted, excluded: [] }, free))
})

/** A subject of one RDN: its attributes as they are written, each a type of string and the text. */
function subjectOf(
  ...attributes: readonly Uint8Array[]
): Extract<GeneralName, { kind: 'directory' }> {
  const rdn = attributes.map((value) => der.sequence(der.oid(attributeOid.organizationName), value))
  return { kind: 'directory', value: parseName(der.sequence(der.setOf(...rdn))) }
}

const evil = subjectOf(der.utf8String('Evil Corp'))

test('an excluded directory name is met in every type of string and in every spelling', () => {
  const spellings = [
    der.printableString('EVIL  CORP'),
    der.utf8String('Ev\u00adil Corp'),
    der.utf8String('Evil\u200b\u00a0Corp'),
    der.utf8String('\u202eEvil Corp'),
    der.utf8String('Evil\ufe0f\tCorp'),
    der.utf8String('\uff25vil Corp'),
  ]
  for (const spelling of spellings) {
    assert.ok(outside(subjectOf(spelling), { excluded: [evil] }), hex(spelling))
    assert.ok(!outside(subjectOf(spelling), { permitted: [evil] }), hex(spelling))
  }
  const street = subjectOf(der.utf8String('Stra\u00dfe'))
  assert.ok(outside(subjectOf(der.utf8String('STRASSE')), { excluded: [street] }))
})

test('a string that is not decoded cannot slip past an exclusion, and is not permitted by its look', () => {
  const bmp = subjectOf(
    der.element(0x1e, Uint8Array.from(Array.from('Evil Corp').flatMap(bigEndian))),
  )
  const teletex = subjectOf(
    der.element(
      0x14,
      Uint8Array.from('Evil Corp', (one) => one.charCodeAt(0)),
    ),
  )
  for (const subject of [bmp, teletex]) {
    assert.ok(outside(subject, { excluded: [evil] }))
    assert.ok(outside(subject, { permitted: [evil] }))
    assert.ok(!outside(subject, { permitted: [subject] }))
    const beside = directory([attributeOid.commonName, 'Evil Corp'])
    assert.ok(
      !outside(subject, { excluded: [beside] }),
      'another type of attribute is another name',
    )
  }
})

function bigEndian(character: string): number[] {
  const code = character.charCodeAt(0)
  return [code >> 8, code & 0xff]
}

test('the texts of a directory name are read once, however many names it is compared with', () => {
  const texts = Array.from({ length: 63 }, (_, index) => `\u00e9${index}`)
  let read = 0
  const counted = (last: string): GeneralName => {
    const { value } = subjectOf(...texts.map((text) => der.utf8String(text)), der.utf8String(last))
    const rdns = value.rdns.map((rdn) =>
      rdn.map((attribute) =>
        Object.defineProperty({ ...attribute }, 'text', { get: () => (read++, attribute.text) }),
      ),
    )
    return { kind: 'directory', value: { ...value, rdns } }
  }
  const excluded = Array.from({ length: 50 }, () => ({ base: counted('one') }))
  assert.equal(nameOutside(named([counted('other')]), { permitted: [], excluded }, free), undefined)
  assert.ok(read <= 2 * 64 * 51, `${read} reads`)
})

/** A letter under a tower of accents. */
function marked(height: number): GeneralName {
  return subjectOf(der.utf8String(`a${'\u0301\u0316'.repeat(height)}`))
}

test('a text beyond all bounds is compared as it is written, and slips past no exclusion', () => {
  const stretched = marked(15_000)
  assert.ok(!outside(stretched, { permitted: [marked(15_000)] }))
  assert.ok(outside(stretched, { permitted: [marked(14_999)] }))
  assert.ok(outside(stretched, { excluded: [evil] }))
})

test('comparisons are counted before they are made', () => {
  const names = Array.from({ length: 1000 }, (_, index) => dns(`a${index}.example.com`))
  const bases = Array.from({ length: 1000 }, (_, index) => ({ base: dns(`b${index}.example.com`) }))
  let spent = 0
  const constraints = { permitted: [], excluded: bases }
  nameOutside(named(names.slice(0, 10)), constraints, (count) => (spent += count))
  assert.equal(spent, 10_000)
  assert.throws(() => nameOutside(named(names), constraints, enough), RangeError)
})
