/** There when the package is not; its types are in pkcs11jsTypes.ts. */
declare module 'pkcs11js'
