/**
 * Certificate policies (RFC 5280 §6.1.2 (a), §6.1.3 (d)-(f), §6.1.4, §6.1.5) for a verifier that
 * accepts any policy: what remains to be told is whether some policy holds along the whole path
 * where a CA demands one. The valid policy tree of the RFC grows exponentially under attack; the
 * set of policies that are valid at each depth answers the same question in linear space (RFC
 * 9618).
 */
import { DerReader } from '../codec/index.ts'
import { anyPolicy, extensionOid } from './oids.ts'
import { isSelfIssued } from './profile.ts'
import type { Certificate, Oid } from './types.ts'

export class PolicyState {
  /**
   * Policies, in the words of the next certificate, that every certificate so far allows. Empty:
   * the tree is NULL.
   */
  #valid: ReadonlySet<Oid> = new Set([anyPolicy])
  /**
   * Certificates that may still follow before the rule holds; Infinity: it does not (RFC 5280
   * §6.1.2 (d)-(f)).
   */
  #explicitPolicy: number = Number.POSITIVE_INFINITY
  #inhibitAny: number = Number.POSITIVE_INFINITY
  #inhibitMapping: number = Number.POSITIVE_INFINITY

  /**
   * Where the walk begins. An anchor that names no policy stands for all (RFC 5937 §3.2); its
   * demands count like those of any CA.
   */
  begin(anchor: Certificate): void {
    const { policies } = anchor.extensions
    if (policies !== undefined) this.#valid = narrowed(this.#valid, policies, true)
    this.#prepare(anchor, true)
  }

  /**
   * The next certificate from the anchor down; `last` is the leaf. False: a policy is demanded and
   * none is left.
   */
  step(certificate: Certificate, last: boolean): boolean {
    const selfIssued = isSelfIssued(certificate)
    const takesAny = this.#inhibitAny > 0 || (!last && selfIssued)
    this.#valid = narrowed(this.#valid, certificate.extensions.policies, takesAny)
    if (this.#explicitPolicy === 0 && this.#valid.size === 0) return false
    if (last) return this.#endsWell(certificate)
    this.#prepare(certificate, selfIssued)
    return true
  }

  /** RFC 5280 §6.1.4 (a), (b), (h), (i), (j). */
  #prepare(certificate: Certificate, selfIssued: boolean): void {
    this.#valid = mapped(this.#valid, mappingsOf(certificate), this.#inhibitMapping > 0)
    if (!selfIssued) {
      this.#explicitPolicy = Math.max(0, this.#explicitPolicy - 1)
      this.#inhibitMapping = Math.max(0, this.#inhibitMapping - 1)
      this.#inhibitAny = Math.max(0, this.#inhibitAny - 1)
    }
    const { policyConstraints, inhibitAnyPolicy } = certificate.extensions
    this.#explicitPolicy = least(this.#explicitPolicy, policyConstraints?.requireExplicitPolicy)
    this.#inhibitMapping = least(this.#inhibitMapping, policyConstraints?.inhibitPolicyMapping)
    this.#inhibitAny = least(this.#inhibitAny, inhibitAnyPolicy)
  }

  /** RFC 5280 §6.1.5 (a), (b), (g): the demand of the leaf itself counts only when it is zero. */
  #endsWell(certificate: Certificate): boolean {
    const left = Math.max(0, this.#explicitPolicy - 1)
    const demanded = certificate.extensions.policyConstraints?.requireExplicitPolicy === 0
    return (left > 0 && !demanded) || this.#valid.size > 0
  }
}

function least(current: number, stated: number | undefined): number {
  return Math.min(current, stated ?? Number.POSITIVE_INFINITY)
}

/** RFC 5280 §6.1.3 (d) and (e). */
function narrowed(
  valid: ReadonlySet<Oid>,
  stated: readonly Oid[] | undefined,
  takesAny: boolean,
): ReadonlySet<Oid> {
  if (stated === undefined) return new Set()
  if (takesAny && stated.includes(anyPolicy)) {
    // Everything valid stays, and what this certificate names becomes valid where anything was.
    return valid.has(anyPolicy) ? new Set([...valid, ...stated]) : valid
  }
  const named = stated.filter((policy) => policy !== anyPolicy)
  return new Set(valid.has(anyPolicy) ? named : named.filter((policy) => valid.has(policy)))
}

type Mappings = ReadonlyMap<Oid, readonly Oid[]>

/** RFC 5280 §6.1.4 (b). */
function mapped(valid: ReadonlySet<Oid>, mappings: Mappings, allowed: boolean): ReadonlySet<Oid> {
  if (mappings.size === 0) return valid
  const next = new Set<Oid>()
  for (const policy of valid) if (!mappings.has(policy)) next.add(policy)
  if (!allowed) return next
  for (const [issuerPolicy, subjectPolicies] of mappings) {
    if (!valid.has(issuerPolicy) && !valid.has(anyPolicy)) continue
    for (const policy of subjectPolicies) next.add(policy)
  }
  return next
}

function mappingsOf(certificate: Certificate): Mappings {
  const mappings = new Map<Oid, Oid[]>()
  const extension = certificate.extensions.all.find(
    (one) => one.oid === extensionOid.policyMappings,
  )
  if (extension === undefined) return mappings
  // The parser has checked the syntax; it keeps the octets only.
  const list = new DerReader(extension.value, 'policyMappings').sequence('list')
  while (!list.done) {
    const mapping = list.sequence('mapping')
    const issuerPolicy = mapping.oid('issuerDomainPolicy')
    const subjectPolicy = mapping.oid('subjectDomainPolicy')
    const known = mappings.get(issuerPolicy)
    if (known === undefined) mappings.set(issuerPolicy, [subjectPolicy])
    else known.push(subjectPolicy)
  }
  return mappings
}
