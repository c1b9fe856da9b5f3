import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isNestedTooDeep, jsonElements, jsonMembers } from '../../src/codec/index.ts'

const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

describe('JSON as text', () => {
  it('the parts of an array and an object stay as they were written', () => {
    assert.deepEqual(jsonElements('[12345678901234567890, 1.0 ,"a,]" , {"b":[1,2]},[]]'), [
      '12345678901234567890',
      '1.0',
      '"a,]"',
      '{"b":[1,2]}',
      '[]',
    ])
    assert.deepEqual(
      [...(jsonMembers('{ "id" : "x:}\\"" ,"n":1e400,"o": {"id":[ ]} , "\\u0061":null}') ?? [])],
      [
        ['id', '"x:}\\""'],
        ['n', '1e400'],
        ['o', '{"id":[ ]}'],
        ['a', 'null'],
      ],
    )
    assert.deepEqual(jsonElements(' [ ] '), [])
    assert.deepEqual([...(jsonMembers('{}') ?? ['none'])], [])
    assert.deepEqual([...(jsonMembers('{"__proto__":1}') ?? [])], [['__proto__', '1']])
    assert.deepEqual(jsonElements('[""]'), ['""'])
  })

  for (const text of ['', 'null', '1', '"[]"', '{}', '[1', '[1]]', '[,]', '[1,]', "['a']", '[1] x'])
    it(`${text} has no elements`, () => assert.equal(jsonElements(text), undefined))

  for (const text of ['', 'null', '[]', '"{}"', '{"a":1', '{"a":1}}', '{"a":1,}', '{a:1}'])
    it(`${text} has no members`, () => assert.equal(jsonMembers(text), undefined))

  it('a member named twice is no member, however it is escaped', () => {
    assert.equal(jsonMembers('{"a":1,"a":2}'), undefined)
    assert.equal(jsonMembers('{"a":1,"\\u0061":2}'), undefined)
  })

  it('depth counts brackets outside strings', () => {
    assert.equal(isNestedTooDeep(deep(4), 4), false)
    assert.equal(isNestedTooDeep(deep(5), 4), true)
    assert.equal(isNestedTooDeep(`["${'['.repeat(50)}\\"[[[["]`, 4), false)
    assert.equal(isNestedTooDeep('[{"a":[]},{"a":[]},{"a":[]},{"a":[]}]', 3), false)
  })
})
