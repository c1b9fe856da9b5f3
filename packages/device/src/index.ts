/**
 * The host side of a device: enrols, sends, renews. Its key stays in its element, its state in one
 * folder.
 */
export type { CertificateReport } from './certificate.ts'
export { type EphemeralsBy, ephemeralNames } from './coapRoad.ts'
export { type ProgramOptions, programHandler } from './commandProgram.ts'
export { systemWorld } from './compose.ts'
export {
  type Answer,
  type ConnectionOptions,
  openConnection,
  type Question,
  type ServerConnection,
} from './connect.ts'
export { type EnrollOptions, type EnrollResult, enroll } from './enroll.ts'
export type { DeviceErrorCode } from './errors.ts'
export { type Command, parseCommand } from './portable/command.ts'
export {
  CommandDesk,
  type CommandHandler,
  type CommandOutcome,
  type CommandWay,
} from './portable/commandDesk.ts'
export type { CommandMemory } from './portable/commandMemory.ts'
export { type RenewOptions, renew } from './renew.ts'
export { type RoadName, type RoadOptions, roadNames } from './road.ts'
export { type RunOptions, type RunSummary, run } from './run.ts'
export { type SendOptions, type SendResult, send } from './send.ts'
export { type DeviceReport, type ShowOptions, show } from './show.ts'
export {
  fileSource,
  hostSource,
  lineSource,
  type Sample,
  type Source,
  sampleBytesMax,
  textSample,
} from './source.ts'
export { parseTarget, type ServerTarget } from './target.ts'
export { connectTls, TlsStream, type TlsStreamOptions } from './tls.ts'
export { type DeviceCredential, type TlsName, tlsNames, type TlsWay } from './tlsWay.ts'
export { openUdpLink, type UdpLink } from './udpLink.ts'
export type { DeviceEvent, Listener, Patience, World } from './world.ts'
