// @ts-check
/**
 * The operator's page. It shows a snapshot and what the stream says after it; whenever the stream
 * ends, for whatever reason, it begins again with a snapshot. Every list has a bound, so that the
 * page may stay open for months.
 */
import { heardOf, openDetailsBy } from './detail.js'
import {
  devicesPath,
  lookAt,
  looked,
  paintRow,
  rowOf,
  setCounts,
  setDevices,
  turn,
} from './devices.js'
import { addMessages, addRefusals, clearNews, marked, messagesMax, refusalsMax } from './news.js'
import { byId, setClock, show, tick } from './text.js'

/**
 * @typedef {import('./news.js').Message} Message
 * @typedef {import('./news.js').Refusal} Refusal
 * @typedef {import('./devices.js').Row} Row
 * @typedef {import('./devices.js').Counts & { version: string, demo: boolean, now: string,
 *   seq: number, messages: Message[], refusals: Refusal[] }} Snapshot
 */

/** The document is written at most this often, however fast messages come. */
const paintMs = 200
const tickMs = 5000
/** Counts and devices are asked for again at most this often. */
const refreshMs = 2000
const retryMsMin = 500
const retryMsMax = 15_000
/** While the session is over: a new link may be opened in this browser at any time. */
const closedMs = 5000

/** @type {EventSource | undefined} */
let stream
/** Counts beginnings: an answer to an earlier one is no longer wanted. */
let generation = 0
let retryMs = retryMsMin
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retrying
/** @type {ReturnType<typeof setTimeout> | undefined} */
let refreshing
/** @type {ReturnType<typeof setTimeout> | undefined} */
let painting

/** What was heard and is not shown yet, the oldest first. */
const heard = {
  /** @type {Message[]} */
  messages: [],
  /** @type {Refusal[]} */
  refusals: [],
  /** @type {Set<Row>} */
  rows: new Set(),
}

/** The server says that the session is over. */
class Closed extends Error {}

/** @param {string} path @returns {Promise<any>} */
async function ask(path) {
  const response = await fetch(path)
  if (response.status === 403) throw new Closed()
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response.json()
}

/** The whole page anew. */
async function begin() {
  const mine = ++generation
  hangUp()
  try {
    const snapshot = await ask('/page/snapshot')
    // Asked for later: a change that is older than the snapshot is not told again by the stream.
    const path = devicesPath()
    const page = await ask(path)
    if (mine !== generation) return
    byId('closed').hidden = true
    setSnapshot(snapshot)
    // Whoever has picked other devices meanwhile has asked for them.
    if (path === devicesPath()) setDevices(page)
    clearNews()
    addMessages(snapshot.messages, false)
    addRefusals(snapshot.refusals, false)
    listen(snapshot.seq)
  } catch (error) {
    if (mine !== generation) return
    const closed = error instanceof Closed
    byId('closed').hidden = !closed
    beginAgain(closed ? 'closed' : 'lost', closed ? closedMs : retryMs)
  }
}

/** @param {'closed' | 'lost' | 'connecting'} state @param {number} afterMs */
function beginAgain(state, afterMs) {
  hangUp()
  connection(state)
  retryMs = Math.min(2 * retryMs, retryMsMax)
  if (!document.hidden) retrying = setTimeout(() => void begin(), afterMs)
}

function hangUp() {
  clearTimeout(retrying)
  stream?.close()
  stream = undefined
  heard.messages = []
  heard.refusals = []
  heard.rows.clear()
}

/** @param {number} seq */
function listen(seq) {
  const source = new EventSource(`/page/stream?after=${seq}`)
  stream = source
  source.addEventListener('open', () => {
    retryMs = retryMsMin
    connection('live')
  })
  for (const kind of ['message', 'refusal', 'device', 'seen'])
    source.addEventListener(kind, (event) => {
      if (event instanceof MessageEvent) hear(kind, JSON.parse(event.data))
    })
  // Too far behind: how things are is worth more than how they came to be.
  source.addEventListener('reset', () => beginAgain('connecting', refreshMs))
  source.addEventListener('error', () => {
    if (stream === source) beginAgain('lost', retryMs)
  })
}

/** @param {string} kind @param {any} news */
function hear(kind, news) {
  const row = rowOf(news.device)
  if (kind === 'refusal') heard.refusals = [...heard.refusals, news].slice(-refusalsMax)
  if (kind === 'message') heard.messages = [...heard.messages, news].slice(-messagesMax)
  if (kind === 'device') refreshSoon()
  if (row !== undefined && kind !== 'refusal') {
    row.device = { ...row.device, ...change(kind, news) }
    heard.rows.add(row)
  }
  heardOf(news.device)
  painting ??= setTimeout(paint, paintMs)
}

/** What of a row is different now. @param {string} kind @param {any} news */
function change(kind, news) {
  const { time, road, state, reason } = news
  if (kind === 'message') return { road, lastSeen: time, last: news }
  return kind === 'seen' ? { road, lastSeen: time } : { state, reason }
}

function paint() {
  painting = undefined
  addMessages(heard.messages.toReversed())
  addRefusals(heard.refusals.toReversed())
  for (const row of heard.rows) {
    paintRow(row)
    marked(row.row)
  }
  heard.messages = []
  heard.refusals = []
  heard.rows.clear()
}

/** Counts and the devices that are looked at; the stream goes on. */
async function refresh() {
  const mine = generation
  const path = devicesPath()
  try {
    const [snapshot, page] = await Promise.all([ask('/page/snapshot'), ask(path)])
    if (mine !== generation || path !== devicesPath()) return
    setSnapshot(snapshot)
    setDevices(page)
  } catch {
    if (mine === generation) beginAgain('lost', retryMs)
  }
}

function refreshSoon() {
  refreshing ??= setTimeout(() => {
    refreshing = undefined
    void refresh()
  }, refreshMs)
}

/** @param {Snapshot} snapshot */
function setSnapshot(snapshot) {
  setClock(snapshot.now)
  byId('version').textContent = show(snapshot.version)
  byId('demo').hidden = !snapshot.demo
  setCounts(snapshot, (state) => pick({ state }))
}

/** @param {{ state?: string, find?: string }} what */
function pick(what) {
  lookAt(what)
  const field = byId('find')
  if (what.find === undefined && field instanceof HTMLInputElement) field.value = ''
  void refresh()
}

/** @param {'next' | 'previous'} where */
async function leaf(where) {
  if (!turn(where)) return
  await refresh()
  byId('devices').focus()
}

/** @param {'live' | 'lost' | 'closed' | 'paused' | 'connecting'} state */
function connection(state) {
  const element = byId('connection')
  element.dataset['is'] = state
  element.textContent = state === 'lost' ? 'no connection, trying again' : state
}

/** Ends the session here and on the server. */
async function leave() {
  await fetch('/page/session', { method: 'DELETE' }).catch(() => undefined)
  location.reload()
}

for (const kind of ['change', 'search'])
  byId('find').addEventListener(kind, ({ target }) => {
    const find = target instanceof HTMLInputElement ? target.value.trim() : ''
    if (find !== looked().find) pick({ find })
  })
byId('next').addEventListener('click', () => void leaf('next'))
byId('previous').addEventListener('click', () => void leaf('previous'))
byId('leave').addEventListener('click', () => void leave())
// A browser opens few connections to one host: a page that nobody sees holds none.
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) return void begin()
  generation++
  hangUp()
  connection('paused')
})
setInterval(tick, tickMs)
openDetailsBy(ask)
void begin()
