import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { ConsoleDoor } from '../../src/console/consoleDoor.ts'
import { cookieOf, PageHouse } from './pageHouse.ts'

const hour = 3_600_000

describe('the way into the page', () => {
  let house: PageHouse
  beforeEach(async () => {
    house = await PageHouse.create()
  })
  afterEach(() => house.dispose())

  const open = (code: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') =>
    house.ask(`/open?code=${code}`, { headers, method })

  it('a link leads to the page, once, with a cookie', async () => {
    const { code } = house.page.link()
    const first = await open(code, { 'sec-fetch-site': 'none' })
    assert.equal(first.status, 303)
    assert.equal(first.headers.location, '/')
    assert.equal(first.headers['referrer-policy'], 'no-referrer')
    assert.equal(first.headers['cache-control'], 'no-store')
    const [cookie = ''] = first.headers['set-cookie'] ?? []
    assert.match(
      cookie,
      new RegExp(`^countersign-${house.port}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict; `),
    )
    const page = await house.ask('/', { headers: { cookie: cookieOf(first) } })
    assert.equal(page.status, 200)
    assert.match(page.body, /<script type="module" src="\/page\/app.js">/)
    const again = await open(code)
    assert.equal(again.status, 403)
    assert.match(again.body, /countersign console.*--dir FOLDER/s)
    assert.equal(again.headers['set-cookie'], undefined)
  })

  it('nothing is open without it', async () => {
    for (const headers of [{}, { cookie: `countersign-${house.port}=${'a'.repeat(43)}` }]) {
      const page = await house.ask('/', { headers })
      assert.equal(page.status, 403)
      assert.match(page.body, /countersign console/)
      for (const path of ['snapshot', 'devices', 'device?id=x', 'stream?after=0'])
        assert.equal((await house.ask(`/page/${path}`, { headers })).status, 403, path)
      assert.equal((await house.ask('/page/session', { headers, method: 'DELETE' })).status, 403)
    }
  })

  it('a guess is refused in words, and after some of them all are', async () => {
    for (let n = 0; n < 10; n++) assert.equal((await open('guess')).status, 403)
    assert.equal((await open('guess')).status, 429)
    const { lines } = house.house.log
    assert.ok(lines.some(({ message }) => message.includes('link')))
    assert.equal((await open(house.page.link().code)).status, 303)
  })

  it('what looks ahead does not use a link up', async () => {
    const { code } = house.page.link()
    assert.equal((await open(code, {}, 'HEAD')).status, 405)
    assert.equal((await open(code, { 'sec-purpose': 'prefetch;prerender' })).status, 405)
    assert.equal((await open(code)).status, 303)
  })

  it('no code and no cookie is in the log', async () => {
    const { code } = house.page.link()
    const secret = cookieOf(await open(code)).split('=')[1] ?? ''
    await open(code)
    const log = JSON.stringify(house.house.log.lines)
    assert.ok(secret.length === 43 && !log.includes(secret) && !log.includes(code))
  })

  it('another page may not ask, whatever cookie goes with it', async () => {
    const cookie = await house.enter()
    const { port } = house
    for (const site of ['cross-site', 'same-site'])
      for (const path of ['/', '/open?code=x', '/page/snapshot', '/page/stream?after=0']) {
        const headers = { cookie, 'sec-fetch-site': site }
        assert.equal((await house.ask(path, { headers })).status, 403, `${site} ${path}`)
      }
    for (const origin of ['https://evil.example', 'null', `http://localhost:${port + 1}`]) {
      const headers = { cookie, origin }
      assert.equal((await house.ask('/page/snapshot', { headers })).status, 403, origin)
    }
    const headers = { cookie, 'sec-fetch-site': 'same-origin' }
    assert.equal((await house.ask('/page/snapshot', { headers })).status, 200)
  })

  it('a foreign click on a link does not use it up', async () => {
    const { code } = house.page.link()
    const led = await open(code, { 'sec-fetch-site': 'cross-site' })
    assert.equal(led.status, 403)
    assert.match(led.body, /address bar/)
    assert.equal((await open(code)).status, 303)
  })

  it('a name that resolves to this machine is no way in', async () => {
    const cookie = await house.enter()
    const { port } = house
    for (const host of [`evil.example:${port}`, `localhost.evil.example:${port}`]) {
      const answer = await house.ask('/page/snapshot', { headers: { cookie, host } })
      assert.equal(answer.status, 421, host)
    }
    // A name of the house for its applications, but not this machine's own.
    for (const path of ['/', '/open?code=x', '/page/snapshot']) {
      const headers = { cookie, host: `console.example:${port}` }
      assert.equal((await house.ask(path, { headers })).status, 404, path)
    }
    for (const host of [`127.0.0.1:${port}`, `[::1]:${port}`, `LOCALHOST:${port}`]) {
      const answer = await house.ask('/page/snapshot', { headers: { cookie, host } })
      assert.equal(answer.status, 200, host)
    }
  })

  it('leaving needs the page itself, ends the session and its streams', async () => {
    const cookie = await house.enter()
    const leave = (headers: Record<string, string>) =>
      house.ask('/page/session', { method: 'DELETE', headers: { cookie, ...headers } })
    const reader = house.stream(cookie)
    await reader.opened
    assert.equal((await leave({})).status, 403)
    assert.equal((await leave({ origin: 'https://evil.example' })).status, 403)
    const left = await leave({ origin: `http://localhost:${house.port}` })
    assert.equal(left.status, 204)
    assert.match(left.headers['set-cookie']?.[0] ?? '', /Max-Age=0/)
    await reader.ended
    assert.equal((await house.ask('/', { headers: { cookie } })).status, 403)
  })

  it('after twelve hours the session ends, and with it what is open', async () => {
    const cookie = await house.enter()
    const reader = house.stream(cookie)
    await reader.opened
    house.house.timers.advance(12 * hour)
    await reader.ended
    assert.equal((await house.ask('/page/snapshot', { headers: { cookie } })).status, 403)
  })

  it('every answer of the page forbids what it does not need', async () => {
    const cookie = await house.enter()
    const paths = ['/', '/open?code=x', '/page/app.js', '/page/style.css', '/page/snapshot']
    for (const path of [...paths, '/page/devices?nonsense=1', '/page/device?id=x']) {
      const { headers } = await house.ask(path, { headers: { cookie } })
      const policy = String(headers['content-security-policy']).split('; ')
      for (const part of [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ])
        assert.ok(policy.includes(part), `${path} ${part}`)
      assert.equal(headers['x-content-type-options'], 'nosniff', path)
      assert.equal(headers['x-frame-options'], 'DENY', path)
      assert.equal(headers['referrer-policy'], 'no-referrer', path)
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin', path)
    }
  })

  it('its files come from memory, with their types and an ETag, and are small', async () => {
    const cookie = await house.enter()
    const page = await house.ask('/', { headers: { cookie } })
    const named = [...page.body.matchAll(/(?:src|href)="(\/page\/[^"]+)"/g)].map(([, path]) => path)
    const modules = ['detail', 'devices', 'news', 'text'].map((name) => `/page/${name}.js`)
    let bytes = page.body.length
    for (const path of new Set([...named, ...modules])) {
      const file = await house.ask(path ?? '')
      assert.equal(file.status, 200, path)
      assert.match(String(file.headers['content-type']), /^(text\/(css|javascript)|image\/svg)/)
      const etag = String(file.headers.etag)
      const same = await house.ask(path ?? '', { headers: { 'if-none-match': `"x", W/${etag}` } })
      assert.deepEqual([same.status, same.body], [304, ''], path)
      bytes += file.body.length
    }
    assert.ok(bytes < 42_000, `${bytes} bytes`)
    assert.doesNotMatch(page.body, /<style|<script>| style=| on[a-z]+=/)
    for (const path of ['/page/', '/page/index.html', '/page/../app.js', '/page/tsconfig.json'])
      assert.equal((await house.ask(path, { headers: { cookie } })).status, 404, path)
  })

  it('beyond this machine there is no page, and it says so', async () => {
    const { applications, commands, outbox, clock, timers, log } = house.house
    const door = new ConsoleDoor({
      applications,
      commands,
      clock,
      streams: outbox.streams,
      timers,
      log,
      hosts: [],
      health: () => ({}),
    })
    const port = await door.open({ host: '127.0.0.1', port: 0 })
    for (const path of ['/', '/open?code=x']) {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`)
      assert.equal(answer.status, 404)
      assert.match(await answer.text(), /no page here.*loopback/)
    }
    assert.equal((await fetch(`http://127.0.0.1:${port}/page/app.js`)).status, 404)
    const closing = door.close(100)
    timers.advance(100)
    await closing
  })
})
