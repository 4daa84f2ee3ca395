import assert from "node:assert/strict";
import { Incoming } from "./connection.ts";
import { decodeMessage, encodeMessage, type Message, messageLength, messageTypes } from "./message.ts";
import { Decoder } from "./decode.ts";
import { Encoder } from "./encode.ts";
import type { Value } from "./value.ts";

function roundTrip(signature: string, values: Value[]): Value[] {
  const encoder = new Encoder();
  encoder.add(signature, values);
  return new Decoder(encoder.bytes, true).read(signature);
}

Deno.test("Encoder and Decoder agree on every type", () => {
  const cases: [string, Value[]][] = [
    ["ybnqiu", [255, true, -2, 65535, -(2 ** 31), 2 ** 32 - 1]],
    ["yxtd", [1, -(2n ** 63n), 2n ** 64n - 1n, 0.5]],
    ["sog", ["é\n", "/a/b", "a(sv)"]],
    ["ayas", [new Uint8Array([1, 2, 3]), ["", "x"]]],
    ["a(sv)", [[["Slice", { signature: "s", value: "a.slice" }], ["PIDs", { signature: "au", value: [7, 8] }]]]],
    ["a(sa(sv))", [[]]],
    ["a{sv}y", [[["k", { signature: "v", value: { signature: "t", value: 5n } }]], 9]],
    ["(y(nt))", [[1, [2, 3n]]]],
  ];
  for (const [signature, values] of cases) assert.deepEqual(roundTrip(signature, values), values, signature);
});

Deno.test("Encoder writes the bytes that the specification shows", () => {
  // "Marshaling": the array of one 64-bit integer, whose padding does not count.
  const encoder = new Encoder();
  encoder.add("ax", [[5n]]);
  assert.deepEqual([...encoder.bytes], [8, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
});

Deno.test("Encoder refuses values of other types", () => {
  const cases: [string, Value][] = [["s", 1], ["s", "a\0b"], ["t", 1], ["u", 1n], ["b", 1], ["ay", "x"], ["v", "x"], [
    "as",
    "x",
  ]];
  for (const [signature, value] of cases) {
    assert.throws(() => new Encoder().add(signature, [value]), TypeError, signature);
  }
  assert.throws(() => new Encoder().add("ss", ["one"]), TypeError);
  assert.throws(() => new Encoder().add("(ss)", [["one"]]), TypeError);
  assert.throws(() => new Encoder().add("v", [{ signature: "ss", value: "x" }]), TypeError);
});

const signal: Message = {
  type: messageTypes.signal,
  serial: 9,
  path: "/org/freedesktop/systemd1",
  interface: "org.freedesktop.systemd1.Manager",
  member: "JobRemoved",
  sender: ":1.1",
  signature: "uoss",
  body: [7, "/org/freedesktop/systemd1/job/7", "a.scope", "done"],
};

Deno.test("decodeMessage() gives what encodeMessage() was given", () => {
  const bytes = encodeMessage(signal);
  assert.equal(messageLength(bytes), bytes.length);
  assert.deepEqual(decodeMessage(bytes), signal);
});

Deno.test("decodeMessage() reads the other byte order", () => {
  // A reply with serial 1 to the serial 2, with the boolean true, as a big-endian machine sends it.
  const header = [0x42, 2, 1, 1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 15];
  const fields = [5, 1, 0x75, 0, 0, 0, 0, 2, 8, 1, 0x67, 0, 1, 0x62, 0, 0];
  assert.deepEqual(decodeMessage(Uint8Array.from([...header, ...fields, 0, 0, 0, 1])), {
    ...{ type: 2, serial: 1, replySerial: 2, signature: "b" },
    body: [true],
  });
});

Deno.test("Incoming cuts messages out of chunks of any size", () => {
  const bytes = encodeMessage(signal);
  const two = new Uint8Array([...bytes, ...bytes]);
  for (const size of [1, 15, 16, 17, bytes.length - 1, bytes.length, bytes.length + 1, two.length]) {
    const taken: Message[] = [];
    const incoming = new Incoming((message) => taken.push(message));
    for (let begin = 0; begin < two.length; begin += size) incoming.add(two.subarray(begin, begin + size));
    assert.deepEqual(taken, [signal, signal], `chunks of ${size} bytes`);
  }
});

Deno.test("messageLength() refuses a message that would fill memory", () => {
  const bytes = encodeMessage(signal);
  new DataView(bytes.buffer).setUint32(4, 2 ** 31, true);
  assert.throws(() => messageLength(bytes), /want at most 1048576/);
});
