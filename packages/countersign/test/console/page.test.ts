import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { enroll, type RoadName, send, textSample } from '@countersign/device'
import { openTestHouse } from '../device/house.ts'
import { missingBrowser, openPage, startBrowser } from './browser.ts'

const skip = missingBrowser()

/** What a device may call itself and say, and must not become. */
const markup = '<img src=x onerror=alert(1)>'
const bidi = 'safe\u202egnp.exe\u0007'

test('the page in a real browser', { skip }, async (t) => {
  const house = await openTestHouse()
  const browser = await startBrowser()
  t.after(() => browser.close())
  const watched = await openPage(browser, { viewport: { width: 1280, height: 800 } })
  const { page } = watched

  const link = async (): Promise<string> => (await house.call('console.link', {})).url
  const folder = (serial: string): string => join(house.root, Buffer.from(serial).toString('hex'))
  const say = (serial: string, text: string, topic = 'room', road: RoadName = 'https') =>
    send({ state: folder(serial), road, topic, sample: textSample(text) })
  const enrol = async (serial: string): Promise<void> => {
    await enroll({ ...(await house.invite()), serial, state: folder(serial) })
  }
  const live = () => page.waitForSelector('#connection[data-is=live]')
  const countIn = async (item: ReturnType<typeof page.locator>): Promise<number> => {
    const text = (await item.locator('.head .dim').textContent()) ?? ''
    return Number(/^(\d+) times/.exec(text)?.[1] ?? 1)
  }
  const quiet = (): void => assert.deepEqual(watched.complaints.splice(0), [])

  await t.test('opens by a one-time link, and says what to do while there is nothing', async () => {
    const url = await link()
    await page.goto(url)
    await live()
    assert.equal(new URL(page.url()).pathname, '/')
    assert.equal(new URL(page.url()).search, '')
    await page.getByText('countersign identity invite').waitFor()
    await page.getByText('Nobody was turned away lately').waitFor()
    quiet()
    const second = await openPage(browser)
    await second.page.goto(url)
    await second.page.getByText('This link does not open the page').waitFor()
    await second.page.goto(new URL('/', url).href)
    await second.page.getByText('The page is closed').waitFor()
    await second.page.context().close()
  })

  await t.test('shows a device that enrols and its message as it arrives', async () => {
    await enrol('SN-1')
    const row = page.locator('#rows tr', { hasText: 'SN-1' })
    await row.getByText('enrolled').waitFor()
    await say('SN-1', '{"celsius":21.5}', 'room/temperature')
    await page.locator('#feed li', { hasText: '{"celsius":21.5}' }).waitFor()
    await row.getByText('{"celsius":21.5}').waitFor()
    await row.getByText('room/temperature').waitFor()
    await row.getByText('active').waitFor()
    assert.equal(
      await row.getByText('software').locator('..').getAttribute('title'),
      '0, software: the key is in software, or nobody whom this house knows vouches for it',
    )
    quiet()
  })

  await t.test('shows a refusal as it happens, with its reason and what to do', async () => {
    await house.call('identity.suspend', { id: 'SN-1', reason: 'in repair' })
    const row = page.locator('#rows tr', { hasText: 'SN-1' })
    await row.getByText('suspended').waitFor()
    await assert.rejects(say('SN-1', '{"celsius":99}'))
    const refusal = page.locator('#refused li', { hasText: 'ERR_DEVICE_SUSPENDED' })
    await refusal.getByText('the device is suspended (in repair)').waitFor()
    await refusal.getByText('countersign identity resume').waitFor()
    await refusal.getByRole('button', { name: 'SN-1' }).waitFor()
    assert.match((await page.locator('#announced').textContent()) ?? '', /Turned away: SN-1/)
    const before = await countIn(refusal)
    await assert.rejects(say('SN-1', '{"celsius":99}'))
    await refusal.getByText(/times, last/).waitFor()
    await page.waitForFunction(
      (count) =>
        Number.parseInt(document.querySelector('#refused .head .dim')?.textContent ?? '', 10) >
        count,
      before,
    )
    assert.equal(await refusal.count(), 1)
    // Told by the snapshot as by the stream.
    const counted = await countIn(refusal)
    await page.reload()
    await live()
    await refusal.waitFor()
    assert.deepEqual([await refusal.count(), await countIn(refusal)], [1, counted])
    quiet()
  })

  await t.test('shows a device on coap like any other, and its refusals', async () => {
    await enrol('CP-1')
    await say('CP-1', '{"percent":31}', 'field/moisture', 'coap')
    const row = page.locator('#rows tr', { hasText: 'CP-1' })
    await row.getByText('{"percent":31}').waitFor()
    await row.locator('td', { hasText: /^coap$/ }).waitFor()
    await house.call('identity.revoke', { id: 'CP-1', reason: 'keyCompromise' })
    await row.getByText('revoked').waitFor()
    // Its keys end, and the operator is told at once.
    const refusal = page.locator('#refused li', { hasText: 'ERR_CERT_REVOKED' })
    await refusal.getByText('coap').waitFor()
    await assert.rejects(say('CP-1', '32', 'field/moisture', 'coap'))
    await refusal.getByText(/times, last/).waitFor()
    quiet()
  })

  await t.test('tells a device in full, by the keyboard alone', async () => {
    await page.locator('#rows button.name', { hasText: 'SN-1' }).focus()
    await page.keyboard.press('Enter')
    const detail = page.locator('dialog[open]')
    await detail.getByText('It is not let in').waitFor()
    await detail.getByText('Certificates').waitFor()
    await detail.getByText('ldevid').first().waitFor()
    await detail.getByText('no evidence').waitFor()
    await detail.getByText('device.suspended').waitFor()
    await page.keyboard.press('Escape')
    await detail.waitFor({ state: 'detached' })
    quiet()
  })

  await t.test(
    'shows what devices say as text: markup stays words, invisible signs are seen',
    async () => {
      const { store, registry } = house.services
      const [row] = await store.scan('device', { limit: 1 })
      assert.ok(row)
      const eui64 = '02fffffffffffff1'
      // Enrolment takes no such serial number. The page must not have to rely on that.
      const hostile = { ...row, id: `urn:dev:mac:${eui64}`, eui64, serial: markup, reason: markup }
      await store.apply({ writes: [{ kind: 'insert', table: 'device', row: hostile }] })
      await house.call('identity.resume', { id: 'SN-1' })
      await say('SN-1', `"${markup}<script>alert(2)</script>"`, 'x')
      await say('SN-1', bidi, 'plain')
      const refusal = { road: 'https', code: 'ERR_TOKEN_UNKNOWN', message: markup } as const
      registry.refused({ ...refusal, address: bidi, where: markup })
      await page.locator('#refused li', { hasText: 'safe\ufffdgnp.exe\ufffd' }).waitFor()
      const feed = page.locator('#feed li')
      await feed.filter({ hasText: 'safe\ufffdgnp.exe\ufffd' }).waitFor()
      await feed.filter({ hasText: '<script>alert(2)</script>' }).waitFor()
      const name = page.locator('#rows button.name', { hasText: markup })
      assert.equal(await name.textContent(), markup)
      await name.click()
      await page.locator('dialog[open] dl').waitFor()
      await page.keyboard.press('Escape')
      assert.equal(
        await page.locator('main img, main b:not([class]) script, section script').count(),
        0,
      )
      quiet()
    },
  )

  await t.test('filters by state, finds by name, and says so when there is none', async () => {
    await page.locator('#states button', { hasText: 'active' }).click()
    await page.locator('#rows tr').nth(1).waitFor({ state: 'detached' })
    await page.locator('#rows tr', { hasText: 'SN-1' }).waitFor()
    await page.getByRole('searchbox').fill('nobody')
    await page.keyboard.press('Enter')
    await page.getByText('No device is called that.').waitFor()
    await page.getByRole('searchbox').fill('SN-1')
    await page.keyboard.press('Enter')
    await page.locator('#rows tr', { hasText: 'SN-1' }).waitFor()
    await page.locator('#states button', { hasText: 'all' }).click()
    await page.locator('#rows tr').nth(1).waitFor()
    quiet()
  })

  await t.test('cannot be framed, and neither another site nor another port may ask', async () => {
    const { origin } = new URL(page.url())
    const other = await page.context().newPage()
    const said: string[] = []
    const statuses: number[] = []
    other.on('console', (message) => said.push(message.text()))
    other.on('response', (answer) => {
      if (answer.url().startsWith(origin)) statuses.push(answer.status())
    })
    // Another port of the same host: the cookie goes along, and must not do.
    const evil = createServer((_asked, answer) => {
      answer.writeHead(200, { 'content-type': 'text/html', connection: 'close' }).end('evil')
    }).listen(0, '127.0.0.1')
    t.after(() => evil.close())
    await once(evil, 'listening')
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server has such an address
    await other.goto(`http://localhost:${(evil.address() as AddressInfo).port}/`)
    const answer = await other.evaluate(async (target) => {
      const frame = document.createElement('iframe')
      frame.src = `${target}/`
      document.body.append(frame)
      await new Promise((resolve) => frame.addEventListener('load', resolve))
      return fetch(`${target}/page/snapshot`, { credentials: 'include' }).then(
        ({ status }) => String(status),
        () => 'blocked',
      )
    }, origin)
    assert.equal(answer, 'blocked')
    assert.deepEqual(new Set(statuses), new Set([403]))
    assert.match(said.join('\n'), /frame-ancestors 'none'/)
    await other.close()
    quiet()
  })

  await t.test('keeps its lists short, however much is said', async () => {
    const { store, notices, clock } = house.services
    const { id } = await house.call('identity.show', { id: 'SN-1' })
    for (let n = 0; n < 8; n++) {
      const messages = Array.from({ length: 40 }, (_, at) => ({
        id: `flood-${n}-${at}`,
        source: id,
        type: 'countersign.message',
        time: clock.now(),
        body: `{"subject":"flood","road":"https","datacontenttype":"application/json","data":${n * 40 + at}}`,
      }))
      const { messageSeqs } = await store.apply({ messages })
      notices.tell({ kind: 'messages', throughSeq: messageSeqs.at(-1) ?? 0 })
    }
    await page.locator('#feed li', { hasText: /^.*319$/ }).waitFor()
    assert.equal(await page.locator('#feed li').count(), 100)
    quiet()
  })

  await t.test(
    'comes back by itself after the session, when a new link is opened in this browser',
    async () => {
      const second = await page.context().newPage()
      await second.goto(new URL('/', page.url()).href)
      await second.getByRole('button', { name: 'Leave' }).click()
      await second.getByText('The page is closed').waitFor()
      await page.locator('#closed').getByText('countersign console').waitFor()
      assert.equal(await page.locator('#connection').getAttribute('data-is'), 'closed')
      watched.complaints.splice(0) // the browser tells of the 403 that we caused
      await second.goto(await link())
      await live()
      assert.equal(await page.locator('#closed').isVisible(), false)
      await second.close()
    },
  )

  await t.test('outlives a restart of the server: it waits, and begins anew', async () => {
    const state = (is: string) => page.waitForSelector(`#connection[data-is=${is}]`)
    await house.restart(async () => void (await state('lost')))
    await state('closed')
    // Changed while the page hears nothing.
    await house.call('identity.suspend', { id: 'SN-1' })
    watched.complaints.splice(0) // what the browser says of a server that was not there
    const second = await page.context().newPage()
    await second.goto(await link())
    await state('live')
    await page.locator('#rows tr', { hasText: 'SN-1' }).getByText('suspended').waitFor()
    await second.close()
    quiet()
  })

  await t.test('fits a narrow screen, in the dark too', async () => {
    const small = await openPage(browser, {
      viewport: { width: 360, height: 640 },
      colorScheme: 'dark',
    })
    await small.page.goto(await link())
    await small.page.locator('#rows tr').first().waitFor()
    const overflow = await small.page.evaluate(
      () => document.documentElement.scrollWidth - innerWidth,
    )
    assert.ok(overflow <= 0, `${overflow} px too wide`)
    assert.deepEqual(small.complaints, [])
    await small.page.context().close()
  })
})
