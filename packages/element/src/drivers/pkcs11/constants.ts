/** The few numbers of PKCS#11 v2.40 (OASIS, base specification Appendix B) that are used here. */

export const objectClass = { data: 0, publicKey: 2, privateKey: 3, secretKey: 4 } as const

export const keyType = { ec: 0x03, genericSecret: 0x10 } as const

export const attribute = {
  class: 0x000,
  token: 0x001,
  private: 0x002,
  label: 0x003,
  value: 0x011,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  sign: 0x108,
  verify: 0x10a,
  derive: 0x10c,
  valueLength: 0x161,
  extractable: 0x162,
  local: 0x163,
  neverExtractable: 0x164,
  alwaysSensitive: 0x165,
  ecParams: 0x180,
  ecPoint: 0x181,
  alwaysAuthenticate: 0x202,
} as const

export const mechanism = {
  ecKeyPairGeneration: 0x1040,
  ecdsa: 0x1041,
  ecdh1Derive: 0x1050,
} as const

/** CKF_ of CK_TOKEN_INFO. */
export const tokenFlag = {
  writeProtected: 0x2,
  loginRequired: 0x4,
  userPinInitialized: 0x8,
  protectedAuthenticationPath: 0x100,
  tokenInitialized: 0x400,
  userPinCountLow: 0x1_0000,
  userPinFinalTry: 0x2_0000,
  userPinLocked: 0x4_0000,
} as const
