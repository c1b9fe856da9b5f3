/** The most that is read of what a stranger sends. */
export const edhocLimits = {
  /** A chain of certificates by value fits; below what AES-CCM seals at once. */
  messageBytesMax: 16_384,
  /** Of SUITES_I and SUITES_R: the registry has nine, private use four, and some send greasing. */
  suitesMax: 32,
  /** Of G_X under a suite that is not known here: the keys of ML-KEM-1024 fit. */
  ephemeralKeyBytesMax: 2_048,
  /** Of C_I, C_R and kid. OSCORE takes 7 at most, a thumbprint as kid has 32. */
  identifierBytesMax: 64,
  /** Of one EAD field, padding included. */
  eadItemsMax: 16,
  /** RFC 9528 §10.5: labels have 16 bits. */
  eadLabelMax: 65_535,
  /** Of credentials that share one kid; each costs a signature or an agreement. */
  candidatesMax: 4,
  /** Of a diagnostic text in an error. */
  errorTextBytesMax: 256,
} as const
