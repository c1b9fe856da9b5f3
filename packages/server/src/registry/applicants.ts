/**
 * An application at a door that asks for a certificate (MQTTS). Its certificate names nobody that
 * could be looked up but itself: the registry knows it by fingerprint, like a device's.
 */
import type { VerifiedPeer } from '@countersign/core/credential'
import type { AdmittedApplication } from '../ports.ts'
import { checkCertificate, leafField } from './admission.ts'
import { type RegistryParts, refusal } from './context.ts'

/** Throws PeerError: unknown or ended certificate, or an application that was removed. */
export async function admitApplication(
  { store, clock }: RegistryParts,
  { fingerprint, notAfter }: VerifiedPeer,
): Promise<AdmittedApplication> {
  const [certificate] = await store.find('certificate', 'fingerprint', fingerprint)
  // One that an operator issued by hand (`ca issue --profile application`) belongs to no application.
  if (certificate === undefined || certificate.application === null)
    throw refusal(
      'ERR_CERT_UNKNOWN',
      'no application has this certificate',
      { fingerprint },
      leafField('serialNumber'),
    )
  checkCertificate(certificate, clock.now())
  const id = certificate.application
  const application = await store.get('application', id)
  if (application === undefined)
    throw refusal('ERR_APPLICATION_GONE', `the application ${id} was removed`, { fingerprint })
  return { application, notAfter }
}
