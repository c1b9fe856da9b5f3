/** What a log line may tell of an error. */
import { isCountersignError } from '@countersign/core/errors'

export function factsOf(error: unknown): { readonly code: string; readonly cause: string } {
  const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
  return { code, cause: error instanceof Error ? error.message : String(error) }
}
