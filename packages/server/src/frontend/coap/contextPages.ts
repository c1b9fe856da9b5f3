/** All contexts in the store, some at a time: what was read may be deleted before the next are. */
import type { CoapContextRow, Store } from '../../ports.ts'

const pageSize = 500

export async function* contextPages(
  store: Pick<Store, 'scan'>,
): AsyncGenerator<readonly CoapContextRow[], void> {
  for (let after: string | undefined; ; ) {
    const from = after === undefined ? {} : { after }
    const page = await store.scan('coapContext', { limit: pageSize, ...from })
    after = page.at(-1)?.id
    yield page
    if (page.length < pageSize) return
  }
}
