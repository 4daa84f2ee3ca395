/**
 * Messages of D-Bus (D-Bus Specification, "Message Format").
 *
 * @module
 */
import { Decoder, malformed } from "./decode.ts";
import { Encoder } from "./encode.ts";
import { isVariant, type Value } from "./value.ts";

/** The types of messages; others are to be ignored. */
export const messageTypes = { call: 1, reply: 2, error: 3, signal: 4 } as const;

/** A message without what no receiver here needs. */
export interface Message {
  /** One of {@link messageTypes}, or one of a later version. */
  type: number;
  serial: number;
  path?: string;
  interface?: string;
  member?: string;
  errorName?: string;
  replySerial?: number;
  destination?: string;
  sender?: string;
  signature?: string;
  body: readonly Value[];
}

/** A method of an object, and what it is given. */
export interface MethodCall {
  destination: string;
  path: string;
  interface: string;
  member: string;
  signature?: string;
  body?: readonly Value[];
}

/** Codes of the header's fields that are kept. */
const fields: readonly { code: number; name: Exclude<keyof Message, "type" | "serial" | "body">; type: string }[] = [
  { code: 1, name: "path", type: "o" },
  { code: 2, name: "interface", type: "s" },
  { code: 3, name: "member", type: "s" },
  { code: 4, name: "errorName", type: "s" },
  { code: 5, name: "replySerial", type: "u" },
  { code: 6, name: "destination", type: "s" },
  { code: 7, name: "sender", type: "s" },
  { code: 8, name: "signature", type: "g" },
];

/** Of the fixed part, the length of the header's fields included. */
export const fixedLength = 16;

/** Far above any message that systemd sends to who asks as we do; the specification allows 128 MiB. */
export const messageLengthMax = 1 << 20;

/** The message as bytes. */
export function encodeMessage(message: Message): Uint8Array {
  const body = new Encoder();
  if (message.signature !== undefined) body.add(message.signature, message.body);
  const header = new Encoder();
  const given = fields.flatMap(({ code, name, type }) => {
    const value = message[name];
    return value === undefined ? [] : [[code, { signature: type, value }]];
  });
  const littleEndian = "l".charCodeAt(0);
  const values = [littleEndian, message.type, 0, 1, body.bytes.length, message.serial, given];
  header.add("yyyyuua(yv)", values);
  header.align(8);
  const bytes = new Uint8Array(header.bytes.length + body.bytes.length);
  bytes.set(header.bytes);
  bytes.set(body.bytes, header.bytes.length);
  return bytes;
}

/** Length of the message that begins with these bytes, at least {@link fixedLength} of them. Throws `DataLoss`. */
export function messageLength(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, fixedLength);
  const littleEndian = isLittleEndian(bytes);
  const bodyLength = view.getUint32(4, littleEndian);
  const fieldsLength = view.getUint32(12, littleEndian);
  const length = Math.ceil((fixedLength + fieldsLength) / 8) * 8 + bodyLength;
  if (length > messageLengthMax) throw malformed(`it has ${length} bytes; want at most ${messageLengthMax}`);
  return length;
}

/** The message of these bytes, which are all of it. Throws `DataLoss`, and `InvalidArgument` for a bad signature. */
export function decodeMessage(bytes: Uint8Array): Message {
  const header = new Decoder(bytes, isLittleEndian(bytes));
  const [, type, , version, , serial, list] = header.read("yyyyuua(yv)");
  if (version !== 1) throw malformed(`its protocol version is ${version}; want 1`);
  header.align(8);
  // The signature above says what they are.
  const message: Message = { type: type as number, serial: serial as number, body: [] };
  for (const [code, value] of list as [number, Value][]) {
    const field = fields.find((each) => each.code === code);
    if (field === undefined || !isVariant(value)) continue;
    if (value.signature !== field.type) throw malformed(`its ${field.name} is of the type "${value.signature}"`);
    // Checked in the line above.
    (message as unknown as Record<string, Value>)[field.name] = value.value;
  }
  const body = new Decoder(bytes.subarray(header.position), header.littleEndian);
  if (message.signature !== undefined) message.body = body.read(message.signature);
  if (body.position !== body.bytes.length) throw malformed("its body is longer than its signature says");
  return message;
}

function isLittleEndian(bytes: Uint8Array): boolean {
  const letter = String.fromCharCode(bytes[0]!);
  if (letter !== "l" && letter !== "B") throw malformed(`its byte order is ${JSON.stringify(letter)}`);
  return letter === "l";
}
