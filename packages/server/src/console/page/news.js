// @ts-check
/** Two lists that grow at the top and have an end: messages, and who was turned away. */
import { byId, el, foreign, link, nameOf, show, time } from './text.js'

/**
 * @typedef {{ device: string, time: string, topic: string, road: string, data: string }} Message
 * @typedef {{ device: string | null, time: string, code: string, message: string,
 *   where: string | null, road: string, address: string, remedy: string }} Refusal
 */

export const messagesMax = 100
export const refusalsMax = 50

/** What the list of refusals has: a snapshot and the stream after it may tell the same. */
const told = new Set()

export function clearNews() {
  told.clear()
  for (const id of ['feed', 'refused']) byId(id).replaceChildren()
}

/** @param {Message[]} messages the newest first */
export function addMessages(messages, fresh = true) {
  const items = messages.map((message) => marked(messageItem(message), fresh))
  prepend('feed', 'no-messages', items, messagesMax)
}

/** @param {Refusal[]} refusals the newest first */
export function addRefusals(refusals, fresh = true) {
  const news = refusals.filter((refusal) => !told.has(keyOf(refusal)))
  for (const refusal of news) told.add(keyOf(refusal))
  const items = news.map((refusal) => marked(refusalItem(refusal), fresh))
  prepend('refused', 'no-refusals', items, refusalsMax)
  const [newest] = news
  if (fresh && newest !== undefined) announce(newest, news.length)
  for (const key of told) if (told.size > 4 * refusalsMax) told.delete(key)
}

/** For those who listen: one sentence, however many there are. @param {Refusal} refusal @param {number} count */
function announce({ device, message }, count) {
  const more = count > 1 ? `, and ${count - 1} more` : ''
  const who = device === null ? 'an unknown device' : nameOf(device)
  byId('announced').textContent = show(`Turned away: ${who}, ${message}${more}`)
}

/** @param {Refusal} refusal */
function keyOf({ time: at, code, device, address, message }) {
  return [at, code, device, address, message].join(' ')
}

/** @param {Refusal} refusal */
function refusalItem(refusal) {
  const { road, address, device } = refusal
  const who = device === null ? el('span', {}, 'unknown device') : link(device)
  const from = el('p', { class: 'dim' }, who, ' · ', road, ' · ', foreign(address))
  return el('li', {}, ...refusalLines(refusal, from))
}

/** @param {Pick<Refusal, 'time' | 'code' | 'message' | 'where' | 'remedy'>} refusal @param {HTMLElement[]} between */
export function refusalLines({ time: at, code, message, where, remedy }, ...between) {
  const place =
    where === null || where === '' ? '' : el('span', { class: 'dim' }, ' at ', foreign(where))
  return [
    el('p', { class: 'head' }, el('span', { class: 'code' }, code), time(at)),
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
