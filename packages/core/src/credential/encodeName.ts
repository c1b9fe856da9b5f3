/** Distinguished names and GeneralNames as DER (RFC 5280 §4.1.2.4, §4.2.1.6). */
import { contextConstructed, contextPrimitive, der } from '../codec/index.ts'
import { attributeOid } from './oids.ts'
import type { GeneralName, Oid } from './types.ts'

export interface NameAttribute {
  readonly type: Oid
  readonly value: string
}

/** A name of one attribute for each relative distinguished name. */
export function encodeName(attributes: readonly NameAttribute[]): Uint8Array {
  return der.sequence(
    ...attributes.map(({ type, value }) =>
      der.setOf(der.sequence(der.oid(type), text(type, value))),
    ),
  )
}

/**
 * The string type that RFC 5280 Appendix A.1 gives the attribute; UTF8String for every
 * DirectoryString.
 */
function text(type: Oid, value: string): Uint8Array {
  switch (type) {
    case attributeOid.serialNumber:
    case attributeOid.countryName:
      return der.printableString(value)
    case attributeOid.domainComponent:
    case attributeOid.emailAddress:
      return der.ia5String(value)
    default:
      return der.utf8String(value)
  }
}

export function encodeGeneralNames(names: readonly GeneralName[]): Uint8Array {
  return der.sequence(...names.map(encodeGeneralName))
}

export function encodeGeneralName(name: GeneralName): Uint8Array {
  switch (name.kind) {
    case 'email':
      return der.ia5String(name.value, contextPrimitive(1))
    case 'dns':
      return der.ia5String(name.value, contextPrimitive(2))
    case 'uri':
      return der.ia5String(name.value, contextPrimitive(6))
    case 'ip':
      return der.implicitPrimitive(7, name.value)
    case 'directory':
      return der.explicit(4, name.value.der)
    case 'registeredId':
      return der.oid(name.value, contextPrimitive(8))
    case 'other':
      return der.element(contextConstructed(0), der.oid(name.type), der.explicit(0, name.value))
    case 'unsupported':
      return der.element(name.tag, name.value)
  }
}
