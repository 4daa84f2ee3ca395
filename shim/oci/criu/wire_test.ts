import assert from "node:assert/strict";
import { request, response } from "./messages.ts";
import { decode, encode, many, one } from "./wire.ts";

/** As `protoc --encode` writes them for the same fields. */
const known = new Uint8Array([
  ...[0x08, 0x01, 0x12, 0x1c, 0x08, 0x07, 0x18, 0x00, 0x52, 0x08],
  ...new TextEncoder().encode("dump.log"),
  ...[0xba, 0x01, 0x0b, 0x0a, 0x02, 0x2f, 0x61, 0x12, 0x05, 0x2f, 0x64, 0x65, 0x76, 0x2f],
]);

Deno.test("encode() writes what protoc does, with zeros that are there, and decode() reads it", () => {
  const message = {
    type: 1,
    options: {
      imagesDirectory: 7,
      leaveRunning: false,
      logFile: "dump.log",
      externalMounts: [{ key: "/a", value: "/dev/" }],
    },
  };
  assert.deepEqual(encode(request, message), known);
  assert.deepEqual(decode(request, known), message);
});

Deno.test("encode() and decode() keep negative and large numbers, empty lists and texts", () => {
  const shape = { small: one(1, "int"), large: one(2, "int"), list: many(3, "text"), flag: one(16, "bool") };
  for (const message of [{ small: -1, large: 2 ** 40, flag: true }, { list: ["", "ü"] }, {}]) {
    assert.deepEqual(decode(shape, encode(shape, message)), message);
  }
  assert.deepEqual(encode(shape, { list: [] }), new Uint8Array());
});

Deno.test("decode() passes over unknown fields of every wire type, and refuses what is cut off", () => {
  const unknown = [
    0xa8,
    0x06,
    0x05,
    0xa9,
    0x06,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    0xaa,
    0x06,
    0x01,
    0x78,
    0xad,
    0x06,
    1,
    2,
    3,
    4,
  ];
  assert.deepEqual(decode(response, new Uint8Array([...unknown, 0x10, 0x01])), { success: true });
  for (const bytes of [[0x08], [0x2a, 0x05, 0x01], [0x0b], [0x08, ...new Array<number>(11).fill(0xff)]]) {
    assert.throws(() => decode(response, new Uint8Array(bytes)), /no protocol buffer/);
  }
});
