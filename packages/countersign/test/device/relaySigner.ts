/**
 * A process that signs with the element of a URL so many times, each time a message of its own, and
 * prints what it got; what may be tried again is.
 */
import { createHash } from 'node:crypto'
import { openElement } from '@countersign/element/compose'
import { isElementError, isRetryable } from '@countersign/element/ports'

const [, , url = '', name = '', count = '0'] = process.argv
const element = await openElement(url, { folder: '.' })
for (let nth = 0, refused = 0; nth < Number(count); ) {
  const message = `${name} ${nth}`
  try {
    const signature = await element.sign(0, createHash('sha256').update(message).digest())
    const hex = Buffer.from(signature).toString('hex')
    process.stdout.write(`${JSON.stringify({ message, signature: hex, refused })}\n`)
    nth++
  } catch (error) {
    if (!isElementError(error) || !isRetryable(error.code) || ++refused > 2 * Number(count)) {
      throw error
    }
  }
}
await element.close()
