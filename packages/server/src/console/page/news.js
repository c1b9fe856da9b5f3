// @ts-check
/** Two lists that grow at the top and have an end: messages, and who was turned away. */
import { byId, el, foreign, link, nameOf, show, time } from './text.js'

/**
 * @typedef {{ device: string, time: string, topic: string, road: string, data: string }} Message
 * @typedef {{ device: string | null, time: string, code: string, message: string,
 *   where: string | null, road: string, address: string, remedy: string, count?: number }} Refusal
 */

export const messagesMax = 100
export const refusalsMax = 50

/**
 * Who was turned away, with which code: how often, and the time of the snapshot's newest, which the
 * stream after it may tell again. The one that was longest not heard of is first.
 * @type {Map<string, { count: number, until: string, item: HTMLElement }>}
 */
const groups = new Map()

export function clearNews() {
  groups.clear()
  for (const id of ['feed', 'refused']) byId(id).replaceChildren()
}

/** @param {Message[]} messages the newest first */
export function addMessages(messages, fresh = true) {
  const items = messages.map((message) => marked(messageItem(message), fresh))
  prepend('feed', 'no-messages', items, messagesMax)
}

/** @param {Refusal[]} refusals the newest first */
export function addRefusals(refusals, fresh = true) {
  const news = refusals.filter(
    (refusal) => refusal.time > (groups.get(keyOf(refusal))?.until ?? ''),
  )
  for (const refusal of news.toReversed()) addRefusal(refusal, fresh)
  for (const key of groups.keys()) if (groups.size > refusalsMax) groups.delete(key)
  const [newest] = news
  if (fresh && newest !== undefined) announce(newest, news.length)
}

/** @param {Refusal} refusal @param {boolean} fresh */
function addRefusal(refusal, fresh) {
  const key = keyOf(refusal)
  const before = groups.get(key)
  const count = (before?.count ?? 0) + (refusal.count ?? 1)
  const item = marked(refusalItem({ ...refusal, count }), fresh)
  const focused = before?.item.contains(document.activeElement) === true
  before?.item.remove()
  groups.delete(key)
  groups.set(key, { count, until: fresh ? (before?.until ?? '') : refusal.time, item })
  prepend('refused', 'no-refusals', [item], refusalsMax)
  if (focused) item.querySelector('button')?.focus({ preventScroll: true })
}

/** For those who listen: one sentence, however many there are. @param {Refusal} refusal @param {number} count */
function announce({ device, message }, count) {
  const more = count > 1 ? `, and ${count - 1} more` : ''
  const who = device === null ? 'an unknown device' : nameOf(device)
  byId('announced').textContent = show(`Turned away: ${who}, ${message}${more}`)
}

/** @param {Refusal} refusal */
function keyOf({ code, device, address }) {
  return `${code} ${device ?? address}`
}

/** @param {Refusal} refusal */
function refusalItem(refusal) {
  const { road, address, device } = refusal
  const who = device === null ? el('span', {}, 'unknown device') : link(device)
  const from = el('p', { class: 'dim' }, who, ' · ', road, ' · ', foreign(address))
  return el('li', {}, ...refusalLines(refusal, from))
}

/** @param {Pick<Refusal, 'time' | 'code' | 'message' | 'where' | 'remedy' | 'count'>} refusal @param {HTMLElement[]} between */
export function refusalLines({ time: at, code, message, where, remedy, count = 1 }, ...between) {
  const place =
    where === null || where === '' ? '' : el('span', { class: 'dim' }, ' at ', foreign(where))
  const often = count > 1 ? `${count} times, last ` : ''
  const when = el('span', { class: 'dim' }, often, time(at))
  return [
    el('p', { class: 'head' }, el('span', { class: 'code' }, code), when),
    el('p', {}, foreign(message), place),
    ...between,
    remedyLine(remedy),
  ]
}

/** @param {string} remedy */
export function remedyLine(remedy) {
  return el('p', { class: 'remedy' }, el('b', {}, 'What to do'), remedy)
}

/** @param {Message} message */
function messageItem({ device, time: at, topic, data }) {
  const subject = el('span', { class: 'line' }, link(device), ' ', foreign(topic, 'dim'))
  return el(
    'li',
    {},
    el('p', { class: 'head' }, subject, time(at)),
    el('p', { class: 'line mono', title: data }, foreign(data)),
  )
}

/** @param {HTMLElement} element */
export function marked(element, fresh = true) {
  element.classList.toggle('fresh', fresh)
  element.addEventListener('animationend', () => element.classList.remove('fresh'), { once: true })
  return element
}

/** @param {string} id @param {string} placeholder @param {HTMLElement[]} items @param {number} max */
function prepend(id, placeholder, items, max) {
  const list = byId(id)
  list.prepend(...items)
  while (list.childElementCount > max) list.lastElementChild?.remove()
  list.hidden = list.childElementCount === 0
  byId(placeholder).hidden = !list.hidden
}
