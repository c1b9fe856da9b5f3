import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Block, blocksOf, Terminal, until } from './pageRunner.ts'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const untilMsMax = 20_000
const revocationMsMax = 2_000

function missingPeer(): string | undefined {
  for (const program of ['bash', 'openssl', 'curl', 'mosquitto_pub', 'mosquitto_sub'])
    if (spawnSync('which', [program]).status !== 0) return `${program} is not installed`
  return undefined
}

interface Ready {
  readonly listeners: { readonly console: string; readonly https: string; readonly mqtts: string }
}

/** The page names the default ports; here the doors take free ones. */
async function startServer(
  script: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ ready: Ready; stop(): Promise<void> }> {
  const command = `exec ${script.trim()} --listen console=0 --listen https=0 --listen mqtts=0 --listen coap=0`
  const child = spawn('bash', ['-c', command], { cwd, env, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.includes('"ready"')) continue
    const stop = async (): Promise<void> => {
      child.kill('SIGINT')
      await ended
    }
    return { ready: JSON.parse(line) as Ready, stop }
  }
  throw new Error('serve ended before it was ready')
}

/** A port that was free a moment ago: the page's receiver has to be told a number. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const missing = missingPeer()
const skip = missing !== undefined && process.env['PEERS'] !== 'required' ? missing : false

test('the walk-through of docs/start.md does what it says', { skip }, async (t) => {
  const cwd = mkdtempSync(join(tmpdir(), 'countersign-start-'))
  const env = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH']}` }
  const terminal = new Terminal(cwd, env)
  const stops: (() => Promise<void>)[] = []
  t.after(async () => {
    terminal.close()
    for (const stop of stops) await stop()
    rmSync(cwd, { recursive: true, force: true })
  })

  const hookPort = await freePort()
  let ports = { console: '8443', https: '8444', mqtts: '8883' }
  const localised = (script: string): string =>
    script
      .replaceAll('npx --no-install countersign', 'countersign')
      .replaceAll('8088', String(hookPort))
      .replaceAll('localhost:8443', `localhost:${ports.console}`)
      .replaceAll('localhost:8444', `localhost:${ports.https}`)
      .replaceAll('localhost:8883', `localhost:${ports.mqtts}`)

  const perform = async (block: Block): Promise<string> => {
    const script = localised(block.script)
    switch (block.kind) {
      case 'server': {
        const server = await startServer(script, cwd, env)
        stops.push(() => server.stop())
        const { ready } = server
        ports = {
          console: new URL(ready.listeners.console).port,
          https: new URL(ready.listeners.https).port,
          mqtts: new URL(ready.listeners.mqtts).port,
        }
        return ''
      }
      case 'background':
        await terminal.background(script)
        return ''
      case 'until': {
        const limit = script.includes('dropped.txt') ? revocationMsMax : untilMsMax
        return (await until(terminal, { ...block, script }, limit)).output
      }
      case 'run':
      case 'fails': {
        const { code, output } = await terminal.run(script)
        assert.equal(
          code !== 0,
          block.kind === 'fails',
          `line ${block.line}: exit ${code}\n${output}`,
        )
        return output
      }
    }
  }

  for (const block of blocksOf(readFileSync(join(root, 'docs/start.md'), 'utf8'))) {
    const output = await perform(block)
    for (const fragment of block.expected)
      assert(output.includes(fragment), `line ${block.line}: no "${fragment}" in:\n${output}`)
  }
})
