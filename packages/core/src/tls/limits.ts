/**
 * How much of the other end's bytes this client takes, and why no more. Sizes in bytes. What is
 * beyond ends the connection; nothing is gathered first and measured later.
 */

/** RFC 8446 §5.1: content of one record. */
export const plaintextBytesMax = 16_384
/** RFC 8446 §5.2: what encryption may add to it. */
export const expansionBytesMax = 256
/** RFC 8449 §4: a smaller limit is no limit but an error. */
export const recordSizeLimitMin = 64

/**
 * Handshake messages. Hellos carry one key share and perhaps a cookie, which RFC 8446 lets grow to
 * 64 KiB and servers keep below some hundred; a chain of four with post-quantum signatures stays
 * below 32 KiB; a request lists the names of many CAs.
 */
export const helloBytesMax = 8_192
export const encryptedExtensionsBytesMax = 4_096
export const certificateRequestBytesMax = 16_384
export const certificateBytesMax = 32_768
/** A signature of RSA with 8192 bits. */
export const certificateVerifyBytesMax = 1_152
/** A ticket holds what its server wants to know again, a client's chain perhaps. */
export const ticketMessageBytesMax = 18_432

/** Certificates in a server's chain: leaf, issuing CA, root, and some to spare. */
export const chainLengthMax = 8
/** Extensions in one list; RFC 8446 knows a dozen for each message. */
export const extensionsMax = 32

/**
 * Records in a row that bring nothing on: empty ones, change_cipher_spec, user_canceled. RFC 8446
 * needs one or two of them; more of them is somebody keeping us busy.
 */
export const uselessRecordsMax = 16
/** Tickets and key updates between two pieces of application data; each costs us key derivations. */
export const postHandshakeMessagesMax = 32

/** Bytes that wait for a handshake that waits for its element. Whoever feeds us stops long before. */
export const waitingBytesMax = 262_144
/** Above this much that waits, the client asks for no more (`isHungry`). */
export const waitingBytesWanted = 32_768

/**
 * Records under one key. RFC 8446 §5.5 allows 2^24.5 full ones for AES-GCM; CCM is held to 2^23 (RFC 9147 §4.5.3 has
 * the analysis), and one number below both serves all suites.
 */
export const recordsPerKeyMax: number = 2 ** 22
