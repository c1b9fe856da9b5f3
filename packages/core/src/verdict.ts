/**
 * A verdict of the crypto port. The port is synchronous; of a provider that is not after all the
 * promise is no yes, whatever comes of it.
 */
export function isYes(verdict: unknown): boolean {
  return verdict === true
}
