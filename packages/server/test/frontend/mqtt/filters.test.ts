/**
 * Topic filters: the examples of MQTT 5 §4.7 and §4.8.2 (3.1.1 §4.7 has the same), what is no
 * filter, and a set of filters against a search of all of them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  FilterSet,
  isShared,
  isSharedFilter,
  isTopicFilter,
  isTopicName,
  matches,
} from '../../../src/frontend/mqtt/filters.ts'
import type { QoS } from '../../../src/frontend/mqtt/packets.ts'
import { seed } from './support.ts'

interface Examples {
  readonly filter: string
  readonly yes?: readonly string[]
  readonly no?: readonly string[]
}

const examples: readonly Examples[] = [
  // §4.7.1.1, §4.7.1.2
  {
    filter: 'sport/tennis/player1/#',
    yes: [
      'sport/tennis/player1',
      'sport/tennis/player1/ranking',
      'sport/tennis/player1/score/wimbledon',
    ],
    no: ['sport/tennis/player10', 'sport/tennis', 'sport/tennis/player2/ranking'],
  },
  { filter: 'sport/#', yes: ['sport', 'sport/', 'sport/tennis'], no: ['sports', 'spor', 'Sport'] },
  { filter: '#', yes: ['sport', '/', '/finance', 'a/b/c'], no: ['$SYS', '$SYS/monitor'] },
  // §4.7.1.3
  {
    filter: 'sport/tennis/+',
    yes: ['sport/tennis/player1', 'sport/tennis/player2', 'sport/tennis/'],
    no: ['sport/tennis/player1/ranking', 'sport/tennis'],
  },
  { filter: 'sport/+', yes: ['sport/'], no: ['sport'] },
  { filter: '+/+', yes: ['/finance'], no: ['finance', 'a/b/c'] },
  { filter: '/+', yes: ['/finance'], no: ['finance'] },
  { filter: '+', yes: ['finance'], no: ['/finance', '$SYS'] },
  { filter: '+/tennis/#', yes: ['sport/tennis', '/tennis/a/b'], no: ['sport/tenni', 'tennis'] },
  { filter: 'sport/+/player1', yes: ['sport/tennis/player1', 'sport//player1'], no: ['sport/a'] },
  { filter: 'a/+/#', yes: ['a/b', 'a/', 'a/b/c'], no: ['a', 'b/b'] },
  // §4.7.2
  { filter: '+/monitor/Clients', no: ['$SYS/monitor/Clients'], yes: ['x/monitor/Clients'] },
  { filter: '$SYS/#', yes: ['$SYS/monitor', '$SYS'], no: ['SYS/monitor'] },
  { filter: '$SYS/monitor/+', yes: ['$SYS/monitor/Clients'], no: ['$SYS/monitor'] },
  // §4.7.3: by their characters, with case, spaces and empty levels.
  { filter: 'ACCOUNTS', yes: ['ACCOUNTS'], no: ['Accounts', 'ACCOUNTS/', '/ACCOUNTS', 'ACCOUNT'] },
  { filter: 'Accounts payable', yes: ['Accounts payable'], no: ['Accounts'] },
  { filter: 'a//b', yes: ['a//b'], no: ['a/b', 'a/x/b'] },
  { filter: 'caf\u00e9', yes: ['caf\u00e9'], no: ['cafe\u0301'] },
]

for (const { filter, yes = [], no = [] } of examples) {
  test(`the filter ${filter}`, () => {
    assert.ok(isTopicFilter(filter))
    for (const topic of yes) assert.equal(matches(filter, topic), true, topic)
    for (const topic of no) assert.equal(matches(filter, topic), false, topic)
  })
}

test('what is no topic filter, and what is no topic name', () => {
  // §4.7.1.2, §4.7.1.3
  for (const text of ['', 'sport/tennis#', 'sport/tennis/#/ranking', 'sport+', '#/', '##', '+a']) {
    assert.equal(isTopicFilter(text), false, text)
  }
  for (const text of ['#', '+', '+/tennis/#', 'sport/+/player1', '/', ' ', '$', 'a/+']) {
    assert.equal(isTopicFilter(text), true, text)
  }
  for (const text of ['', '+', '#', 'a/#', 'a+b']) assert.equal(isTopicName(text), false, text)
  for (const text of ['a', '/', '$SYS/a', ' ']) assert.equal(isTopicName(text), true, text)
})

test('shared subscriptions: $share/NAME/FILTER', () => {
  // §4.8.2
  for (const text of [
    '$share/consumer1/sport/tennis/+',
    '$share/consumer2//finance',
    '$share/a/#',
  ]) {
    assert.ok(isShared(text) && isSharedFilter(text), text)
  }
  for (const text of ['$share/', '$share//a', '$share/a', '$share/a/', '$share/+/a', '$share/#']) {
    assert.ok(isShared(text) && !isSharedFilter(text), text)
  }
  for (const text of ['$share', '$shared/a/b', 'share/a/b', '/$share/a/b']) {
    assert.equal(isShared(text), false, text)
  }
})

const level = fc.constantFrom('a', 'b', '', '$x', 'ab')
const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'))
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, all]) => [...levels, ...(all ? ['#'] : [])].join('/'))

/** §4.7 level by level, as the specification tells it. */
function told(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const given = topic.split('/')
  if (topic.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false
  const rest = wanted.at(-1) === '#'
  const fixed = rest ? wanted.slice(0, -1) : wanted
  if (rest ? given.length < fixed.length : given.length !== fixed.length) return false
  return fixed.every((part, index) => part === '+' || part === given[index])
}

test('a filter matches as if it was compared level by level', () => {
  fc.assert(
    fc.property(filters, topics, (filter, topic) => {
      fc.pre(filter !== '' && topic !== '')
      assert.equal(matches(filter, topic), told(filter, topic))
    }),
    { seed, numRuns: 2000 },
  )
})

test('a set finds the highest QoS of all filters that match', () => {
  const granted = fc.array(fc.tuple(filters, fc.constantFrom<QoS>(0, 1, 2)), { maxLength: 12 })
  fc.assert(
    fc.property(granted, topics, (entries, topic) => {
      const set = new FilterSet()
      for (const [filter, qos] of entries) set.set(filter, qos)
      const last = new Map(entries)
      assert.equal(set.size, last.size)
      const found = [...last].filter(([filter]) => told(filter, topic)).map(([, qos]) => qos)
      const best = found.length === 0 ? undefined : Math.max(...found)
      assert.equal(set.qosOf(topic), best)
    }),
    { seed, numRuns: 1000 },
  )
})

test('a filter that is set again is replaced, and one that is deleted is gone', () => {
  const set = new FilterSet()
  set.set('a/+', 2)
  set.set('a/b', 1)
  set.set('a/+', 0)
  assert.equal(set.get('a/+'), 0)
  assert.equal(set.qosOf('a/b'), 1)
  assert.equal(set.delete('a/b'), true)
  assert.equal(set.delete('a/b'), false)
  assert.equal(set.qosOf('a/b'), 0)
  assert.equal(set.delete('a/+'), true)
  assert.equal(set.qosOf('a/b'), undefined)
  assert.equal(set.size, 0)
})
