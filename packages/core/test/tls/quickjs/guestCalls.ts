/** Functions of the host for the program inside, and calls of it. */
import type { JSValueHandle, QuickJS } from 'quickjs-wasi'

type Act = (...values: readonly unknown[]) => unknown

/** An object of host functions; values are copied both ways. */
export function expose(vm: QuickJS, name: string, functions: object): void {
  using object = vm.newObject()
  for (const [key, act] of Object.entries(functions) as readonly (readonly [string, Act])[]) {
    using made = vm.newFunction(`${name}.${key}`, (...values) =>
      vm.hostToHandle(act(...values.map((value) => vm.dump(value)))),
    )
    vm.setProp(object, key, made)
  }
  vm.setProp(vm.global, name, object)
}

/** One call, and all that its promises come to. */
export function call(
  vm: QuickJS,
  guest: JSValueHandle,
  name: string,
  values: readonly unknown[],
): void {
  vm.withScope(() => {
    const given = values.map((value) => vm.hostToHandle(value))
    vm.callFunction(guest.getProp(name), guest, ...given)
  })
  vm.executePendingJobs()
}
