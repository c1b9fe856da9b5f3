/**
 * What we use of pkcs11js, typed here: the package is optional, and the types are checked also where
 * it is not installed.
 */
export interface Attribute {
  readonly type: number
  readonly value?: Uint8Array | string | number | boolean
}

export interface Mechanism {
  readonly mechanism: number
  readonly parameter?: {
    readonly type: number
    readonly kdf: number
    readonly publicData: Uint8Array
  }
}

export interface TokenInfo {
  readonly label: string
  readonly manufacturerID: string
  readonly model: string
  readonly serialNumber: string
  readonly flags: number
  readonly firmwareVersion: { readonly major: number; readonly minor: number }
}

export interface Pair {
  readonly publicKey: Buffer
  readonly privateKey: Buffer
}

export interface Pkcs11js {
  load(path: string): void
  C_Initialize(options: { readonly flags: number }): void
  C_Finalize(): void
  C_GetInfo(): { readonly manufacturerID: string; readonly libraryDescription: string }
  C_GetSlotList(tokenPresent: boolean): Buffer[]
  C_GetTokenInfo(slot: Buffer): TokenInfo
  C_GetMechanismList(slot: Buffer): number[]
  C_OpenSession(slot: Buffer, flags: number): Buffer
  C_CloseSession(session: Buffer): void
  C_Login(session: Buffer, user: number, pin?: string): void
  C_GetSessionInfo(session: Buffer): { readonly state: number }
  C_FindObjectsInit(session: Buffer, template: readonly Attribute[]): void
  C_FindObjects(session: Buffer, max: number): Buffer[]
  C_FindObjectsFinal(session: Buffer): void
  C_GetAttributeValue(
    session: Buffer,
    object: Buffer,
    template: readonly Attribute[],
  ): { readonly type: number; readonly value: Buffer }[]
  C_CreateObject(session: Buffer, template: readonly Attribute[]): Buffer
  C_DestroyObject(session: Buffer, object: Buffer): void
  C_GenerateKeyPairAsync(
    session: Buffer,
    mechanism: Mechanism,
    publicTemplate: readonly Attribute[],
    privateTemplate: readonly Attribute[],
  ): Promise<Pair>
  C_DeriveKeyAsync(
    session: Buffer,
    mechanism: Mechanism,
    key: Buffer,
    template: readonly Attribute[],
  ): Promise<Buffer>
  C_SignInit(session: Buffer, mechanism: Mechanism, key: Buffer): void
  C_Sign(session: Buffer, data: Buffer, out: Buffer): Buffer
  C_SignAsync(session: Buffer, data: Buffer, out: Buffer): Promise<Buffer>
  C_GenerateRandom(session: Buffer, out: Buffer): Buffer
}

export interface Pkcs11jsLibrary {
  readonly PKCS11: new () => Pkcs11js
}
