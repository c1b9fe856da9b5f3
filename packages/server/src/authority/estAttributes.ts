/**
 * CsrAttrs (RFC 7030 §4.5.2): what a request should look like here. The key is named by an
 * attribute whose value is the curve, the signature scheme and the subject's serialNumber by their
 * object identifiers.
 */
import { der } from '@countersign/core/codec'
import { algorithmOid, attributeOid } from '@countersign/core/credential'

export const csrAttributes: Uint8Array = der.sequence(
  der.sequence(der.oid(algorithmOid.ecPublicKey), der.setOf(der.oid(algorithmOid.p256))),
  der.oid(algorithmOid.ecdsaWithSha256),
  der.oid(attributeOid.serialNumber),
)
