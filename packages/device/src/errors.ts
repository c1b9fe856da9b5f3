/** Every way in which a device's work can fail, by code. */
export type DeviceErrorCode =
  // The state folder.
  | 'ERR_STATE_LOCKED'
  | 'ERR_STATE_DAMAGED'
  | 'ERR_STATE_MODE'
  | 'ERR_STATE_NEWER'
  | 'ERR_NOT_ENROLLED'
  | 'ERR_ALREADY_ENROLLED'
  // What the caller gave.
  | 'ERR_SERVER_URL'
  | 'ERR_ANCHOR_FORMAT'
  | 'ERR_SERIAL_FORMAT'
  | 'ERR_EUI64_FORMAT'
  | 'ERR_TOPIC_FORMAT'
  | 'ERR_READING_TOO_LARGE'
  | 'ERR_SOURCE'
  | 'ERR_COMMAND_PROGRAM'
  // The other end.
  | 'ERR_SERVER_UNREACHABLE'
  | 'ERR_SERVER_TIMEOUT'
  | 'ERR_ANCHOR_MISMATCH'
  | 'ERR_SERVER_ANSWER'
  | 'ERR_ENROLL_REFUSED'
  | 'ERR_RENEW_REFUSED'
  | 'ERR_DEVICE_REFUSED'
  | 'ERR_READING_REFUSED'
  | 'ERR_CERT_MISMATCH'
  | 'ERR_COMMAND_FORMAT'
