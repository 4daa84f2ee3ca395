import assert from "node:assert/strict";
import { makePipe, writeOnce } from "./descriptor.ts";
import { packetPair, receivePacket } from "./packet_socket.ts";
import { sendDescriptor } from "./send_descriptor.ts";

Deno.test("receivePacket() keeps messages apart, takes their descriptors, and sees the end", () => {
  const [one, other] = packetPair();
  using _other = other;
  const pipe = makePipe();
  writeOnce(one.number, new TextEncoder().encode("first"));
  sendDescriptor(one.number, pipe.read.number, "second");
  writeOnce(one.number, new Uint8Array(65));
  const texts: string[] = [];
  for (let round = 0; round < 2; round++) {
    const packet = receivePacket(other.number, 64);
    texts.push(new TextDecoder().decode(packet?.bytes));
    assert.equal(packet?.descriptor !== undefined, round === 1);
    packet?.descriptor?.close();
  }
  assert.deepEqual(texts, ["first", "second"]);
  assert.throws(() => receivePacket(other.number, 64), RangeError);
  for (const end of [one, pipe.read, pipe.write]) end.close();
  assert.equal(receivePacket(other.number, 64), undefined);
});
