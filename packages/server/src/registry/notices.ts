/**
 * The bus of notices: whoever holds live sessions or a cache hears of a change as soon as it is
 * durable. Synchronous, so that nothing comes between the commit and its effect.
 */
import type { Notice, Notices } from '../ports.ts'

/**
 * `failed` hears of a listener that threw: the others are told all the same, and the teller has
 * done its work.
 */
export function createNotices(failed: (error: unknown) => void): Notices {
  const listeners = new Set<(notice: Notice) => void>()
  return {
    tell(notice) {
      for (const listener of listeners) {
        try {
          listener(notice)
        } catch (error) {
          failed(error)
        }
      }
    },
    listen(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
