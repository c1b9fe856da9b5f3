// @ts-check
/** The table of devices: one page of it, by state or by name, each row kept as the stream tells. */
import { byId, disable, el, foreign, link, remember, rename, time } from './text.js'

/**
 * @typedef {{ time: string, topic: string, data: string }} Last
 * @typedef {{ id: string, eui64: string, serial: string, product: string, state: string,
 *   reason: string | null, assurance: number, road: string | null, firstSeen: string | null,
 *   lastSeen: string | null, last: Last | null }} Device
 * @typedef {{ device: Device, row: HTMLElement, cells: HTMLElement[] }} Row
 * @typedef {{ counts: Record<string, number>, countMax: number }} Counts
 * @typedef {{ devices: Device[], next: string | null }} DevicePage
 */

/** What each assurance is called, and what it means. */
const assurances = [
  ['software', 'the key is in software, or nobody whom this house knows vouches for it'],
  ['isolated', 'the key is in a token or chip that only this house witnessed'],
  ['tpm-attested', 'a TPM has attested the key'],
  ['se-attested', "a secure element's vendor vouches for the key"],
  ['se-certified', 'a certified secure element holds the key'],
]
const labels = ['Device', 'State', 'Road', 'Assurance', 'Last seen', 'Last message']

/** @type {Map<string, Row>} */
const rows = new Map()
/** @type {{ state: string, find: string, before: string[] }} `before`: where earlier pages began */
const view = { state: '', find: '', before: [''] }
/** @type {string | null} */
let next = null

/** @param {string} id */
export function rowOf(id) {
  return rows.get(id)
}

/** What to ask the server for. */
export function devicesPath() {
  const query = new URLSearchParams()
  const after = view.before.at(-1) ?? ''
  if (view.find !== '') query.set('find', view.find)
  else if (view.state !== '') query.set('state', view.state)
  if (after !== '') query.set('after', after)
  return `/page/devices?${query}`
}

/** @param {{ state?: string, find?: string }} what */
export function lookAt({ state = '', find = '' }) {
  Object.assign(view, { state, find, before: [''] })
}

export function looked() {
  return view
}

/** Says whether there is such a page. @param {'next' | 'previous'} where */
export function turn(where) {
  if (where === 'next' && next !== null) view.before.push(next)
  else if (where === 'previous' && view.before.length > 1) view.before.pop()
  else return false
  return true
}

/** @param {DevicePage} page */
export function setDevices(page) {
  const focused = document.activeElement?.closest('tr')?.dataset['device']
  rows.clear()
  next = page.next
  for (const device of page.devices) rows.set(device.id, makeRow(device))
  byId('rows').replaceChildren(...[...rows.values()].map(({ row }) => row))
  if (focused !== undefined) rows.get(focused)?.row.querySelector('button')?.focus()
  rename()
  setEmptiness(page.devices.length === 0)
  byId('pager').hidden = next === null && view.before.length === 1
  disable('previous', view.before.length === 1)
  disable('next', next === null)
}

/** @param {boolean} empty */
function setEmptiness(empty) {
  const all = view.state === '' && view.find === '' && view.before.length === 1
  byId('table').hidden = empty
  byId('no-devices').hidden = !empty || !all
  byId('no-match').hidden = !empty || all
  byId('no-match').textContent =
    view.find === '' ? 'No device is in this state.' : 'No device is called that.'
}

/** @param {Device} device @returns {Row} */
function makeRow(device) {
  remember(device)
  const { id, product, eui64 } = device
  const cells = labels.map((label) => el('td', { role: 'cell', 'data-label': label }))
  const under = el('span', { class: 'under' }, foreign(product), ' · ', el('span', {}, eui64))
  cells[0]?.append(link(id), under)
  // The whole row answers the mouse; the name in it is the way of the keyboard.
  const row = { device, row: el('tr', { role: 'row', 'data-device': id }, ...cells), cells }
  paintRow(row)
  return row
}

/** @param {Row} row */
export function paintRow({ device, cells }) {
  const { lastSeen, road, last } = device
  const seen = last !== null && (lastSeen === null || last.time > lastSeen) ? last.time : lastSeen
  const contents = [
    stateWord(device),
    road ?? nothing(),
    assuranceWord(device.assurance),
    time(seen),
    last === null ? nothing() : lastLines(last),
  ]
  for (const [at, content] of contents.entries()) cells[at + 1]?.replaceChildren(content)
}

/** @param {Device} device */
export function stateWord({ state, reason }) {
  return el('span', { 'data-state': state, title: reason }, state)
}

/** @param {number} assurance */
export function assuranceWord(assurance) {
  const [word = ''] = assurances[assurance] ?? []
  const title = assuranceSentence(assurance)
  return el('span', { title }, `${assurance} `, el('span', { class: 'dim' }, word))
}

/** @param {number} assurance */
export function assuranceSentence(assurance) {
  const [word = 'unknown', meaning = ''] = assurances[assurance] ?? []
  return `${assurance}, ${word}: ${meaning}`
}

export function nothing() {
  return el('span', { class: 'dim none' }, '–')
}

/** @param {Last} last */
export function lastLines({ time: at, topic, data }) {
  return el(
    'span',
    {},
    el('span', { class: 'line', title: topic }, foreign(topic), ' ', time(at)),
    el('span', { class: 'line mono dim', title: data }, foreign(data)),
  )
}

/** A button a state. @param {Counts} counted @param {(state: string) => void} pick */
export function setCounts({ counts, countMax }, pick) {
  const focused = document.activeElement?.getAttribute('data-pick')
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
  const states = /** @type {[string, number][]} */ ([['', all], ...Object.entries(counts)])
  const buttons = states.map(([state, count]) => {
    const pressed = view.find === '' && state === view.state
    const words = count.toLocaleString('en') + (count >= countMax ? '+' : '')
    const button = el(
      'button',
      { type: 'button', 'aria-pressed': String(pressed), 'data-pick': state },
      state === '' ? 'all' : el('span', { 'data-state': state }, state),
      el('b', {}, words),
    )
    button.addEventListener('click', () => pick(state))
    return button
  })
  byId('states').hidden = all === 0
  byId('states').replaceChildren(...buttons)
  buttons.find((button) => button.dataset['pick'] === focused)?.focus()
}
