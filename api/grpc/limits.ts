/**
 * What this side of a connection lets the other send.
 *
 * @module
 */

/** Our SETTINGS and windows, in bytes; the same on either side. */
export const ours = {
  /** Bytes of one frame; larger ones only delay what comes after. */
  frameMax: 1 << 18,
  /** Bytes of a stream that its owner has not taken yet. */
  streamWindow: 1 << 20,
  /** Given back as it comes, so that one stream that nobody reads does not stop the others. */
  connectionWindow: 1 << 24,
  headerListMax: 1 << 16,
  headerTable: 4096,
} as const;
