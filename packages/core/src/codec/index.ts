/** The codec room: bytes, text forms, DER. */
export {}
