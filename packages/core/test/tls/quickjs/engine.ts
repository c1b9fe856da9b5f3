/**
 * An engine whose heap has an enforced limit, with the program in it that `bridge.ts` describes. Of
 * its limit it keeps 64 KiB for telling that the rest is used up.
 */
import { Intrinsics, QuickJS } from 'quickjs-wasi'
import type { GuestProgram, HostEvents, HostPorts } from './bridge.ts'
import { engineModule } from './build.ts'
import { call, expose } from './guestCalls.ts'

/** What core needs of the language's library; an engine for a device is built without the rest. */
const intrinsics =
  Intrinsics.DATE |
  Intrinsics.MAP_SET |
  Intrinsics.PROMISE |
  Intrinsics.REGEXP |
  Intrinsics.TYPED_ARRAYS

export interface Engine extends Disposable {
  /** Throws what the program throws, also "out of memory". */
  readonly program: GuestProgram
  has(globalName: string): boolean
}

/** Without a program: what the engine itself needs. */
export async function bareEngine(memoryLimit: number): Promise<QuickJS> {
  return QuickJS.create({ wasm: engineModule, memoryLimit, intrinsics })
}

export async function startEngine(
  code: Uint8Array,
  ports: HostPorts,
  events: HostEvents,
  memoryLimit: number,
): Promise<Engine> {
  const vm = await bareEngine(memoryLimit)
  expose(vm, 'ports', ports)
  expose(vm, 'events', events)
  vm.evalBytecode(code).dispose()
  const guest = vm.global.getProp('guest')
  const calling =
    (name: keyof GuestProgram) =>
    (...values: readonly unknown[]): void =>
      call(vm, guest, name, values)
  return {
    program: {
      install: calling('install'),
      connect: calling('connect'),
      receive: calling('receive'),
      write: calling('write'),
      end: calling('end'),
      endOfStream: calling('endOfStream'),
      signed: calling('signed'),
    },
    has: (name) => vm.global.hasOwnProperty(name),
    [Symbol.dispose]() {
      guest.dispose()
      vm.dispose()
    },
  }
}
