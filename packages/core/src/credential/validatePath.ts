/**
 * Path validation with revocation lists (RFC 5280 §6). The judge has none: what is revoked is told by
 * the registry, or by a staple. So a device that carries the judge does not carry this.
 */
import type { Crypto } from '../ports.ts'
import { findPath, type ValidPath } from './path.ts'
import { checkRevocation } from './revocation.ts'
import type { PathRequest } from './verified.ts'

/**
 * A path from the leaf to an anchor that satisfies RFC 5280 §6 and the request, or the PeerError of
 * the attempt that came furthest.
 *
 * @example validatePath({ leaf, intermediates: [ca], anchors: [root], crls: [], at: clock.now() }, nodeCrypto)
 */
export function validatePath(request: PathRequest, crypto: Crypto): ValidPath {
  return findPath(request, crypto, (path, checker) => checkRevocation(path, request, checker))
}
