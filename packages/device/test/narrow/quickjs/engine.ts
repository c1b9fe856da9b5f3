/** The firmware as bytecode, and an engine with an enforced heap that runs it. */
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { bytecodeOfText } from '../../../../core/test/tls/quickjs/build.ts'
import { bareEngine } from '../../../../core/test/tls/quickjs/engine.ts'
import { call, expose } from '../../../../core/test/tls/quickjs/guestCalls.ts'
import { hostPorts } from '../../../../core/test/tls/quickjs/hostPorts.ts'
import type { Board, Firmware } from './bridge.ts'

export interface Engine extends Disposable {
  readonly firmware: Firmware
}

export type Crypto = 'in JavaScript' | 'of the board'

const entries: Readonly<Record<Crypto, URL>> = {
  'in JavaScript': new URL('./guest.ts', import.meta.url),
  'of the board': new URL('./guestHost.ts', import.meta.url),
}

export async function firmwareCode(crypto: Crypto = 'in JavaScript'): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(entries[crypto])],
    bundle: true,
    write: false,
    platform: 'neutral',
    format: 'iife',
    target: 'es2023',
    minify: true,
    logLevel: 'silent',
  })
  const [file] = outputFiles
  if (file === undefined) throw new Error('the bundler made nothing')
  return await bytecodeOfText(file.text)
}

export async function powerOn(
  code: Uint8Array,
  board: Board,
  memoryLimit: number,
): Promise<Engine> {
  const vm = await bareEngine(memoryLimit)
  expose(vm, 'board', board)
  expose(
    vm,
    'ports',
    hostPorts(() => board.now()),
  )
  vm.evalBytecode(code).dispose()
  const inside = vm.global.getProp('firmware')
  const calling =
    (name: keyof Firmware) =>
    (...values: readonly unknown[]): void =>
      call(vm, inside, name, values)
  return {
    firmware: {
      open: calling('open'),
      receive: calling('receive'),
      ring: calling('ring'),
      saved: calling('saved'),
      signed: calling('signed'),
      send: calling('send'),
      sleep: calling('sleep'),
      wake: calling('wake'),
    },
    [Symbol.dispose]() {
      inside.dispose()
      vm.dispose()
    },
  }
}
