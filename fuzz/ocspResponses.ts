/** OCSP responses written out part by part, right or wrong: for the fuzzer and for tests. */
import { contextConstructed, contextPrimitive, der, tag } from '@countersign/core/codec'
import {
  algorithmOid,
  type Certificate,
  encodeSignatureAlgorithm,
  encodeSignatureValue,
  ocspOid,
} from '@countersign/core/credential'
import type { Signer } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'

export interface AnswerShape {
  readonly certId: Uint8Array
  readonly status?: Uint8Array
  readonly thisUpdate: number
  readonly nextUpdate?: number | undefined
  readonly extensions?: readonly Uint8Array[]
}

export interface ResponseShape {
  readonly responder: Uint8Array
  readonly producedAt: number
  readonly answers: readonly Uint8Array[]
  readonly extensions?: readonly Uint8Array[]
  readonly certificates?: readonly Uint8Array[]
}

export const good: Uint8Array = der.implicitPrimitive(0, new Uint8Array())
export const unknown: Uint8Array = der.implicitPrimitive(2, new Uint8Array())

export function revoked(at: number, reason?: number): Uint8Array {
  const why = reason === undefined ? [] : [der.explicit(0, enumerated(reason))]
  return der.element(contextConstructed(1), der.generalizedTime(at), ...why)
}

export function byName(certificate: Certificate): Uint8Array {
  return der.explicit(1, certificate.subject.der)
}

export function byKey({ spki }: Certificate): Uint8Array {
  return der.explicit(2, der.octetString(nodeCrypto.hash('sha1', spki.keyBytes)))
}

export function certId(
  leaf: Certificate,
  issuer: Certificate,
  hash: 'sha1' | 'sha256' | 'sha384' = 'sha1',
): Uint8Array {
  return der.sequence(
    der.sequence(der.oid(algorithmOid[hash]), der.nullValue()),
    der.octetString(nodeCrypto.hash(hash, leaf.issuer.der)),
    der.octetString(nodeCrypto.hash(hash, issuer.spki.keyBytes)),
    der.element(tag.integer, leaf.serial),
  )
}

/** SingleResponse. */
export function answer(shape: AnswerShape): Uint8Array {
  const { nextUpdate, extensions = [] } = shape
  const next = nextUpdate === undefined ? [] : [der.explicit(0, der.generalizedTime(nextUpdate))]
  return der.sequence(
    shape.certId,
    shape.status ?? good,
    der.generalizedTime(shape.thisUpdate),
    ...next,
    ...(extensions.length > 0 ? [der.explicit(1, der.sequence(...extensions))] : []),
  )
}

/** ResponseData. */
export function responseData(shape: ResponseShape): Uint8Array {
  const { extensions = [] } = shape
  return der.sequence(
    shape.responder,
    der.generalizedTime(shape.producedAt),
    der.sequence(...shape.answers),
    ...(extensions.length > 0 ? [der.explicit(1, der.sequence(...extensions))] : []),
  )
}

/** A successful OCSPResponse of these parts. */
export function responseOf(
  data: Uint8Array,
  algorithm: Uint8Array,
  signature: Uint8Array,
  certificates: readonly Uint8Array[] = [],
): Uint8Array {
  const certs = certificates.length > 0 ? [der.explicit(0, der.sequence(...certificates))] : []
  return wrapped(der.sequence(data, algorithm, der.bitString(signature), ...certs))
}

/** A successful OCSPResponse around a BasicOCSPResponse, or around anything. */
export function wrapped(basic: Uint8Array, type: string = ocspOid.basic): Uint8Array {
  const bytes = der.sequence(der.oid(type), der.octetString(basic))
  return der.sequence(enumerated(0), der.explicit(0, bytes))
}

export async function ocspResponse(shape: ResponseShape, signer: Signer): Promise<Uint8Array> {
  const data = responseData(shape)
  const signature = encodeSignatureValue(signer.scheme, await signer.sign(data))
  const algorithm = encodeSignatureAlgorithm(signer.scheme)
  return responseOf(data, algorithm, signature, shape.certificates)
}

/** OCSPResponse of a responder that does not answer. */
export function refusal(status: number): Uint8Array {
  return der.sequence(enumerated(status))
}

export function enumerated(value: number): Uint8Array {
  return der.element(tag.enumerated, Uint8Array.of(value))
}

/** NULL of the wrong length under the tag of good or unknown. */
export function statusWithContent(number: 0 | 2): Uint8Array {
  return der.element(contextPrimitive(number), Uint8Array.of(0))
}
