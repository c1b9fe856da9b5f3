/**
 * DER reader: X.690 §8, §10, §11 and the dates of RFC 5280 §4.1.2.5. Bytes are written by hand from
 * the standard.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DerReader, fromHex, hex, tag } from '@countersign/core/codec'
import { refuses } from '../x509/support.ts'

function reader(bytes: string, sizeMax?: number): DerReader {
  return new DerReader(fromHex(bytes), 'input', sizeMax)
}

test('elements are read in order, and nothing may trail', () => {
  const whole = reader('3006020105040101')
  const inner = whole.sequence('outer')
  whole.end()
  assert.equal(inner.smallInteger('number', 9), 5)
  refuses(() => inner.end(), 'ERR_DER_TRAILING', 'input.outer')
  assert.equal(hex(inner.octetString('octets')), '01')
  inner.end()
  refuses(() => inner.next('more'), 'ERR_DER_TRUNCATED', 'input.outer.more')
})

test('a length that is indefinite, not minimal, too long or beyond the end is refused', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['3080', 'ERR_DER_LENGTH'],
    ['30800000', 'ERR_DER_LENGTH'],
    ['308100', 'ERR_DER_LENGTH'],
    ['30817f', 'ERR_DER_LENGTH'],
    ['30820080', 'ERR_DER_LENGTH'],
    ['3083000100', 'ERR_DER_LENGTH'],
    ['308500000000010400', 'ERR_DER_LENGTH'],
    ['30ff', 'ERR_DER_LENGTH'],
    ['3084ffffffff', 'ERR_DER_TRUNCATED'],
    ['3082', 'ERR_DER_TRUNCATED'],
    ['308201', 'ERR_DER_TRUNCATED'],
    ['3001', 'ERR_DER_TRUNCATED'],
    ['30', 'ERR_DER_TRUNCATED'],
    ['', 'ERR_DER_TRUNCATED'],
  ]
  for (const [bytes, code] of cases) refuses(() => reader(bytes).sequence('x'), code, 'input.x')
})

test('lengths of two and three octets are read', () => {
  const octets = reader(`0481ff${'ab'.repeat(255)}`).octetString('x')
  assert.equal(octets.length, 255)
  assert.equal(reader(`04820100${'ab'.repeat(256)}`).octetString('x').length, 256)
})

test('tags of more than one octet, tag zero and other tags are refused', () => {
  refuses(() => reader('1f810100').next('x'), 'ERR_DER_TAG')
  refuses(() => reader('bf1f00').next('x'), 'ERR_DER_TAG')
  refuses(() => reader('0000').next('x'), 'ERR_DER_TAG')
  refuses(() => reader('3100').sequence('x'), 'ERR_DER_TAG')
  refuses(() => reader('2403040100').octetString('x'), 'ERR_DER_TAG')
})

test('errors carry the offset in the whole input and the path of fields', () => {
  const inner = reader('300730050201050405').sequence('a').sequence('b')
  inner.smallInteger('n', 9)
  const error = refuses(() => inner.octetString('o'), 'ERR_DER_TRUNCATED', 'input.a.b.o')
  assert.equal(error.details['offset'], 7)
})

test('nesting beyond sixteen levels is refused, and a bomb of a thousand costs nothing', () => {
  let bomb = '0500'
  for (let depth = 0; depth < 40; depth++)
    bomb = `30${(bomb.length / 2).toString(16).padStart(2, '0')}${bomb}`
  let at = reader(bomb)
  for (let depth = 0; depth < 16; depth++) at = at.sequence('')
  refuses(() => at.sequence('deep'), 'ERR_DER_DEPTH', 'input.deep')
  refuses(() => reader('3080'.repeat(1000)).sequence('x'), 'ERR_DER_LENGTH')
})

test('an input above its limit is refused before it is read', () => {
  refuses(() => reader('0500', 1), 'ERR_DER_SIZE', 'input')
})

test('BOOLEAN is 00 or FF, and a default is not written out', () => {
  assert.equal(reader('0101ff').boolean('x'), true)
  assert.equal(reader('010100').boolean('x'), false)
  assert.equal(reader('0500').booleanDefaultFalse('x'), false)
  assert.equal(reader('8101ff').booleanDefaultFalse('x', 0x81), true)
  refuses(() => reader('010101').boolean('x'), 'ERR_DER_VALUE', 'input.x')
  refuses(() => reader('0100').boolean('x'), 'ERR_DER_VALUE')
  refuses(() => reader('0102ffff').boolean('x'), 'ERR_DER_VALUE')
  refuses(() => reader('010100').booleanDefaultFalse('x'), 'ERR_DER_VALUE')
})

test('INTEGER is in its shortest form', () => {
  assert.equal(hex(reader('0202ff7f').integer('x', 9)), 'ff7f')
  assert.equal(hex(reader('02020080').integer('x', 9)), '0080')
  assert.equal(reader('0209008000000000000000').unsignedBig('x', 9), 2n ** 63n)
  assert.equal(reader('02047fffffff').smallInteger('x', 2 ** 31 - 1), 2 ** 31 - 1)
  for (const bytes of ['0200', '0202007f', '0202ff80', '0202ffff', '02020000']) {
    refuses(() => reader(bytes).integer('x', 9), 'ERR_DER_VALUE')
  }
  refuses(() => reader('0203010000').integer('x', 2), 'ERR_DER_VALUE')
  refuses(() => reader('0201ff').smallInteger('x', 300), 'ERR_DER_VALUE')
  refuses(() => reader('0201ff').unsignedBig('x', 9), 'ERR_DER_VALUE')
  refuses(() => reader('02020100').smallInteger('x', 255), 'ERR_DER_VALUE')
  refuses(() => reader('0209010000000000000000').smallInteger('x', 255), 'ERR_DER_VALUE')
})

test('OBJECT IDENTIFIER has minimal arcs of bounded size', () => {
  assert.equal(reader('06062a864886f70d').oid('x'), '1.2.840.113549')
  assert.equal(reader('0603883703').oid('x'), '2.999.3')
  assert.equal(reader('060127').oid('x'), '0.39')
  assert.equal(reader('060128').oid('x'), '1.0')
  assert.equal(reader('06017f').oid('x'), '2.47')
  // ITU-T X.667 §8: the example UUID f81d4fae-7dec-11d0-a765-00a0c91e6bf6.
  const uuid = '06146983f09da7ebcfdee0c7a1a7b2c0948cc8f9d776'
  assert.equal(reader(uuid).oid('x'), '2.25.329800735698586629295641978511506172918')
  const longArc = `06156981${'80'.repeat(18)}00`
  for (const bytes of [
    '0600',
    '06028001',
    '060188',
    '06032a8001',
    '06032a0186',
    longArc,
    `0641${'2a'.repeat(65)}`,
  ]) {
    refuses(() => reader(bytes).oid('x'), 'ERR_DER_VALUE')
  }
})

test('BIT STRING has zero in its unused bits, and a named list no zero at its end', () => {
  assert.equal(hex(reader('030300abcd').bitStringOctets('x')), 'abcd')
  assert.equal(reader('03020106').namedBits('x', 9), 0b1100000)
  assert.equal(reader('0303070080').namedBits('x', 9), 0b100000000)
  assert.equal(reader('030100').namedBits('x', 9), 0)
  for (const bytes of ['0300', '030101', '03020800', '03020101', '030207ff']) {
    refuses(() => reader(bytes).namedBits('x', 9), 'ERR_DER_VALUE')
  }
  refuses(() => reader('03020600').namedBits('x', 9), 'ERR_DER_VALUE')
  refuses(() => reader('0303000001').namedBits('x', 9), 'ERR_DER_VALUE')
  refuses(() => reader('03020780').bitStringOctets('x'), 'ERR_DER_VALUE')
  refuses(() => reader('0300').bitStringOctets('x'), 'ERR_DER_VALUE')
  assert.equal(hex(reader('03020780').bitString('x')), '0780')
  for (const bytes of ['0300', '030101', '030208ff', '030207ff']) {
    refuses(() => reader(bytes).bitString('x'), 'ERR_DER_VALUE')
  }
})

test('NULL has no content', () => {
  reader('0500').null('x')
  refuses(() => reader('050100').null('x'), 'ERR_DER_VALUE')
})

test('strings keep to the alphabet of their type', () => {
  assert.equal(reader('13034142 27'.replace(' ', '')).text(tag.printableString, 'x'), "AB'")
  assert.equal(reader('0c02c3bc').text(tag.utf8String, 'x'), 'ü')
  assert.equal(reader('1602407f').ia5('x'), '@\x7f')
  assert.equal(reader('12023120').text(tag.numericString, 'x'), '1 ')
  assert.equal(reader('1e020041').text(tag.bmpString, 'x'), undefined)
  for (const [bytes, type] of [
    ['130140', tag.printableString],
    ['13012a', tag.printableString],
    ['130100', tag.printableString],
    ['160180', tag.ia5String],
    ['0c01fc', tag.utf8String],
    ['120141', tag.numericString],
    ['1a0107', tag.visibleString],
  ] as const) {
    refuses(() => reader(bytes).text(type, 'x'), 'ERR_DER_VALUE')
  }
})

/** An element of this tag around a text. */
function timeOf(identifier: number, text: string): DerReader {
  return new DerReader(Uint8Array.of(identifier, text.length, ...Buffer.from(text)), 'input')
}

test('times are what the platform says they are', () => {
  for (const [text, iso] of [
    ['500101000000Z', '1950-01-01T00:00:00Z'],
    ['491231235959Z', '2049-12-31T23:59:59Z'],
    ['000229120000Z', '2000-02-29T12:00:00Z'],
    ['700101000000Z', '1970-01-01T00:00:00Z'],
    ['991231235959Z', '1999-12-31T23:59:59Z'],
  ] as const) {
    assert.equal(timeOf(tag.utcTime, text).time('x'), Date.parse(iso))
  }
  for (const [text, iso] of [
    ['20500101000000Z', '2050-01-01T00:00:00Z'],
    ['21000228235959Z', '2100-02-28T23:59:59Z'],
    ['24000229000000Z', '2400-02-29T00:00:00Z'],
    ['99991231235959Z', '9999-12-31T23:59:59Z'],
  ] as const) {
    assert.equal(timeOf(tag.generalizedTime, text).time('x'), Date.parse(iso))
  }
  assert.equal(
    timeOf(tag.generalizedTime, '00010301000000Z').generalizedTime('x'),
    Date.parse('0001-03-01T00:00:00Z'),
  )
})

test('times without seconds or Z, with fractions, zones or impossible dates are refused', () => {
  for (const text of [
    '2401010000Z',
    '240101000000',
    '240101000000+0000',
    '240101000000z',
    '24010100000aZ',
    '240001000000Z',
    '241301000000Z',
    '240100000000Z',
    '230229000000Z',
    '240431000000Z',
    '240101240000Z',
    '240101006000Z',
    '240101000060Z',
    '',
  ]) {
    refuses(() => timeOf(tag.utcTime, text).time('x'), 'ERR_DER_VALUE', 'input.x')
  }
  for (const text of [
    '20500101000000.5Z',
    '20500101000000',
    '205001010000Z',
    '20491231235959Z',
    '19700101000000Z',
    '21000229000000Z',
  ]) {
    refuses(() => timeOf(tag.generalizedTime, text).time('x'), 'ERR_DER_VALUE', 'input.x')
  }
  refuses(() => timeOf(tag.generalizedTime, '240101000000Z').generalizedTime('x'), 'ERR_DER_VALUE')
  refuses(() => timeOf(tag.printableString, '240101000000Z').time('x'), 'ERR_DER_TAG')
})
