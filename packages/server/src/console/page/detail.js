// @ts-check
/** One device in full, in a dialog: why it is where it is, its certificates and keys, its history. */
import { assuranceSentence, assuranceWord, lastLines, nothing, stateWord } from './devices.js'
import { refusalLines, remedyLine } from './news.js'
import { byId, el, foreign, nameOf, remember, time } from './text.js'

/**
 * @typedef {import('./devices.js').Device} Device
 * @typedef {{ serial: string, profile: string, status: string, reason: string | null,
 *   notAfter: string, fingerprint: string | null }} Certificate
 * @typedef {{ key: string, assurance: number, evidence: string | null, judged: string | null,
 *   reasons: string[] }} Key
 * @typedef {{ time: string, event: string, actor: string, data: unknown }} Entry
 * @typedef {{ verdict: string, next: string, refusals: import('./news.js').Refusal[],
 *   history: Entry[], certificates: Certificate[], keys: Key[] }} Why
 * @typedef {(path: string) => Promise<any>} Ask
 */

/** Looked up again at most this often while it is open. */
const refreshMs = 2000

/** @type {string | undefined} */
let shown
/** @type {ReturnType<typeof setTimeout> | undefined} */
let refreshing
/** @type {Ask} */
let ask = () => Promise.reject(new Error('not ready'))

/** Whatever names a device opens it when it is clicked. @param {Ask} howToAsk */
export function openDetailsBy(howToAsk) {
  ask = howToAsk
  document.addEventListener('click', ({ target }) => {
    const named = target instanceof Element ? target.closest('[data-device]') : null
    if (named instanceof HTMLElement) open(named.dataset['device'] ?? '')
  })
  byId('shut').addEventListener('click', () => dialog().close())
  dialog().addEventListener('close', () => {
    shown = undefined
  })
}

/** Something was heard of a device. @param {string | null} id */
export function heardOf(id) {
  if (id === null || id !== shown) return
  refreshing ??= setTimeout(() => {
    refreshing = undefined
    if (shown !== undefined) void fill(shown)
  }, refreshMs)
}

/** @param {string} id */
function open(id) {
  shown = id
  byId('detail-title').textContent = ''
  byId('detail-title').append(foreign(nameOf(id)))
  byId('detail-body').replaceChildren(el('p', { class: 'dim' }, 'Looking it up …'))
  if (!dialog().open) dialog().showModal()
  dialog().scrollTop = 0
  void fill(id)
}

/** @param {string} id */
async function fill(id) {
  const body = await bodyOf(id).catch(() => [
    el('p', {}, 'This device could not be looked up: it is gone, or the connection is.'),
  ])
  if (shown !== id) return
  byId('detail-title').replaceChildren(foreign(nameOf(id)))
  byId('detail-body').replaceChildren(...body)
}

/** @param {string} id */
async function bodyOf(id) {
  /** @type {{ device: Device, why: Why }} */
  const { device, why } = await ask(`/page/device?id=${encodeURIComponent(id)}`)
  remember(device)
  return [
    el('p', { class: 'verdict' }, foreign(why.verdict)),
    remedyLine(why.next),
    facts(device),
    ...list('Certificates', why.certificates, certificateLines),
    ...list('Keys', why.keys, keyLines),
    ...list('Turned away', why.refusals, (refusal) => refusalLines(refusal)),
    ...list('History', why.history, entryLines),
  ]
}

/** @param {Device} device */
function facts(device) {
  const { reason, last } = device
  const state = el('span', {}, stateWord(device), reason === null ? '' : foreign(`: ${reason}`))
  /** @type {[string, Node | string][]} */
  const pairs = [
    ['State', state],
    ['Product', foreign(device.product)],
    ['Assurance', assuranceSentence(device.assurance)],
    ['Road', device.road ?? nothing()],
    ['First seen', time(device.firstSeen)],
    ['Last seen', time(device.lastSeen)],
    ['Last message', last === null ? nothing() : lastLines(last)],
    ['Id', el('span', { class: 'mono' }, device.id)],
  ]
  return el(
    'dl',
    {},
    ...pairs.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]),
  )
}

/** @param {Certificate} certificate */
function certificateLines({ serial, profile, status, reason, notAfter, fingerprint }) {
  const standing = el(
    'span',
    {},
    `${profile}, `,
    el('b', {}, status),
    reason === null ? '' : ` (${reason})`,
  )
  const end = el('span', { class: 'dim', title: notAfter }, `until ${notAfter.slice(0, 10)}`)
  return [
    el('p', { class: 'head' }, standing, end),
    el('p', { class: 'mono dim', title: `SHA-256 ${fingerprint ?? 'none yet'}` }, serial),
  ]
}

/** @param {Key} key */
function keyLines({ key, assurance, evidence, judged, reasons }) {
  const standing = el(
    'span',
    {},
    el('b', {}, assuranceWord(assurance)),
    `, ${evidence ?? 'no evidence'}`,
  )
  return [
    el('p', { class: 'head' }, standing, judged === null ? '' : time(judged)),
    el('p', { class: 'mono dim', title: `SHA-256 ${key}` }, key.slice(0, 16)),
    ...reasons.map((reason) => el('p', { class: 'dim' }, foreign(reason))),
  ]
}

/** @param {Entry} entry */
function entryLines({ time: at, event, actor, data }) {
  const what = el('span', {}, `${event} `, el('span', { class: 'dim' }, `by ${actor}`))
  return [
    el('p', { class: 'head' }, what, time(at)),
    el('p', { class: 'mono dim' }, foreign(pairsOf(data))),
  ]
}

/** An entry's facts in one line. @param {unknown} data */
function pairsOf(data) {
  return Object.entries(data ?? {})
    .filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' · ')
}

/**
 * @template T
 * @param {string} title @param {T[]} entries @param {(entry: T) => HTMLElement[]} lines
 */
function list(title, entries, lines) {
  if (entries.length === 0) return []
  const items = entries.map((entry) => el('li', {}, ...lines(entry)))
  return [el('h3', {}, title), el('ol', {}, ...items)]
}

function dialog() {
  const element = byId('detail')
  if (element instanceof HTMLDialogElement) return element
  throw new Error('the detail is no dialog')
}
