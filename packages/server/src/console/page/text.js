// @ts-check
/**
 * Text into the document. Everything that devices say is hostile: it passes `show` and becomes text
 * by `el`, and there is no other way in. Neither markup nor invisible characters survive that.
 */

/** Serial numbers of devices that were on the page, the newest last. @type {Map<string, string>} */
const names = new Map()
const namesMax = 5000
/** Milliseconds that the server's clock is ahead of the browser's. */
let clockAhead = 0

/**
 * Control, bidirectional and other invisible characters are made visible, and heaps of combining
 * marks are cut: text must not look like what it is not.
 * @param {unknown} value
 */
export function show(value) {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : ''
  return text
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/gu, '\ufffd')
    .replace(/(\p{M}{2})\p{M}+/gu, '$1')
}

/** @typedef {Node | string | number | null | undefined} Child */

/**
 * Children are elements, or become text. Attributes with the value null are left out; their names
 * are ours.
 * @param {string} name
 * @param {Record<string, string | null>} [attributes]
 * @param {Child[]} children
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes))
    if (value !== null) element.setAttribute(key, show(value))
  element.append(...children.map((child) => (child instanceof Node ? child : show(child))))
  return element
}

/** Foreign text, whose direction stays its own affair. @param {string} text */
export function foreign(text, className = '') {
  return el('bdi', className === '' ? {} : { class: className }, text)
}

/** @param {string} id */
export function byId(id) {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`the page has no ${id}`)
  return element
}

/** @param {string} id @param {boolean} disabled */
export function disable(id, disabled) {
  byId(id).toggleAttribute('disabled', disabled)
}

/** @param {{ id: string, serial: string }} device */
export function remember({ id, serial }) {
  names.delete(id)
  names.set(id, serial)
  const [oldest] = names.keys()
  if (names.size > namesMax && oldest !== undefined) names.delete(oldest)
}

/** Its serial number when we know it, else its EUI-64. @param {string} id */
export function nameOf(id) {
  return names.get(id) ?? id.replace('urn:dev:mac:', '')
}

/** A device's name; `detail.js` listens for the click. @param {string} id */
export function link(id) {
  return el(
    'button',
    { type: 'button', class: 'name', title: id, 'data-device': id },
    foreign(nameOf(id)),
  )
}

/** Names that were learned after they were shown. */
export function rename() {
  for (const button of document.querySelectorAll('button.name'))
    button.replaceChildren(foreign(nameOf(button.getAttribute('data-device') ?? '')))
}

/** @param {string} now RFC 3339 */
export function setClock(now) {
  clockAhead = Date.parse(now) - Date.now()
}

/** How long ago in words, exactly on hover. @param {string | null} at RFC 3339 */
export function time(at) {
  if (at === null) return el('span', { class: 'dim' }, 'never')
  return el('time', { datetime: at, title: at }, ago(at))
}

/** All times of the page, as they are now. */
export function tick() {
  for (const element of document.querySelectorAll('time'))
    element.textContent = ago(element.dateTime)
}

/** @param {string} at */
function ago(at) {
  const seconds = Math.round((Date.now() + clockAhead - Date.parse(at)) / 1000)
  if (Number.isNaN(seconds)) return ''
  if (Math.abs(seconds) < 5) return 'now'
  return seconds < 0 ? `in ${span(-seconds)}` : `${span(seconds)} ago`
}

/** @param {number} seconds */
function span(seconds) {
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return seconds < 172_800
    ? `${Math.floor(seconds / 3600)} h`
    : `${Math.floor(seconds / 86_400)} days`
}
