/**
 * Reading frames off a connection.
 *
 * @module
 */
import type { Connection } from "../rpc/connection.ts";
import { ConnectionError, errorCodes, frameHeaderBytes } from "./frames.ts";

/** Takes one frame; the payload lies at `from` to `to` of the buffer, which is another's after the call. */
export type OnFrame = (
  type: number,
  flags: number,
  stream: number,
  buffer: Uint8Array,
  from: number,
  to: number,
) => void;

/** What waits for an idle peer: ten thousand connections have one each. */
const idleBytes = 1024;
/** Bytes of one read while much comes. */
const busyBytes = 1 << 18;
/** After so many small reads the large buffer goes. */
const quietReadsMax = 32;

/** See the module. The buffer grows with what comes, and shrinks when little does. */
export class FrameReader {
  #buffer = new Uint8Array(idleBytes);
  #from = 0;
  #to = 0;
  #quietReads = 0;

  constructor(private readonly connection: Connection, private readonly frameMax: number) {}

  /** Reads bytes that have to be these. Throws `ConnectionError`. */
  async expect(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at++) {
      if (this.#from === this.#to && !await this.#read(1)) {
        throw new ConnectionError(errorCodes.protocolError, "the connection ended in its preface");
      }
      if (this.#buffer[this.#from++] !== bytes[at]) {
        throw new ConnectionError(errorCodes.protocolError, "this is not HTTP/2");
      }
    }
  }

  /**
   * Gives frames until the connection ends; reads nothing while `pause` gives promises. Throws `ConnectionError`, and
   * whatever `onFrame` throws.
   */
  async run(onFrame: OnFrame, pause: () => Promise<void> | undefined): Promise<void> {
    for (;;) {
      const wanted = this.#frames(onFrame);
      for (let until = pause(); until !== undefined; until = pause()) await until;
      if (!await this.#read(wanted)) return;
    }
  }

  /** Gives the frames that are there, and says how many bytes are wanted to go on. */
  #frames(onFrame: OnFrame): number {
    for (;;) {
      const buffer = this.#buffer, at = this.#from, there = this.#to - at;
      if (there < frameHeaderBytes) return frameHeaderBytes - there;
      const length = (buffer[at]! << 16) | (buffer[at + 1]! << 8) | buffer[at + 2]!;
      if (length > this.frameMax) {
        throw new ConnectionError(errorCodes.frameSizeError, `a frame of ${length} bytes, ${this.frameMax} allowed`);
      }
      const payload = at + frameHeaderBytes, end = payload + length;
      if (end > this.#to) return end - this.#to;
      const stream = ((buffer[at + 5]! & 0x7f) << 24) | (buffer[at + 6]! << 16) | (buffer[at + 7]! << 8) |
        buffer[at + 8]!;
      this.#from = end;
      onFrame(buffer[at + 3]!, buffer[at + 4]!, stream, buffer, payload, end);
    }
  }

  /** Reads once, with room for at least so many bytes; false at the end. */
  async #read(wanted: number): Promise<boolean> {
    this.#makeRoom(wanted);
    const room = this.#buffer.length - this.#to;
    let taken: number | null;
    try {
      taken = await this.connection.read(this.#buffer.subarray(this.#to));
    } catch {
      // Reset by the peer, or closed by us: the same as the end.
      return false;
    }
    if (taken === null) return false;
    this.#to += taken;
    if (taken === room && this.#buffer.length < busyBytes) this.#resize(this.#buffer.length * 4);
    this.#quietReads = taken < idleBytes ? this.#quietReads + 1 : 0;
    return true;
  }

  #makeRoom(wanted: number): void {
    if (this.#from === this.#to) this.#from = this.#to = 0;
    if (this.#quietReads > quietReadsMax && this.#to === 0 && this.#buffer.length > idleBytes) {
      this.#buffer = new Uint8Array(idleBytes);
    }
    if (this.#buffer.length - this.#to >= wanted) return;
    this.#resize(Math.max(this.#buffer.length, this.#to - this.#from + wanted));
  }

  #resize(size: number): void {
    const rest = this.#buffer.subarray(this.#from, this.#to);
    // In its place where it has room: the bytes only move to the front.
    if (size <= this.#buffer.length) this.#buffer.copyWithin(0, this.#from, this.#to);
    else {
      const larger = new Uint8Array(size);
      larger.set(rest);
      this.#buffer = larger;
    }
    this.#to = rest.length;
    this.#from = 0;
  }
}
