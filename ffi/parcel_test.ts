import assert from "node:assert/strict";
import { type Descriptor, makePipe, readOnce, writeOnce } from "./descriptor.ts";
import {
  acceptForParcels,
  connectForParcels,
  listenForParcels,
  parcelBytesMax,
  receiveParcel,
  sendParcel,
} from "./parcel.ts";

interface Ends {
  readonly left: Descriptor;
  readonly right: Descriptor;
}

/** Two connected sockets, whose listener is gone. */
async function connected(body: (ends: Ends) => void): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "parcel-" });
  try {
    using listener = listenForParcels(`${directory}/s`);
    assert.equal(acceptForParcels(listener.number), undefined);
    using left = connectForParcels(`${directory}/s`);
    const accepted = acceptForParcels(listener.number);
    assert(accepted !== undefined);
    assert.equal(accepted.uid, Deno.uid());
    using right = accepted.socket;
    body({ left, right });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("sendParcel() gives texts apart from each other, with descriptors that are the receiver's", async () => {
  await connected(({ left, right }) => {
    assert.equal(receiveParcel(right.number), undefined);
    const one = makePipe(), two = makePipe();
    assert.equal(sendParcel(left.number, "none", []), true);
    assert.equal(sendParcel(left.number, "both", [one.write.number, two.write.number]), true);
    for (const end of [one.write, two.write]) end.close();
    const first = receiveParcel(right.number), second = receiveParcel(right.number);
    assert(typeof first === "object" && typeof second === "object");
    assert.deepEqual([first.text, first.descriptors.length], ["none", 0]);
    assert.deepEqual([second.text, second.descriptors.length], ["both", 2]);
    writeOnce(second.descriptors[1]!.number, new Uint8Array([7]));
    const buffer = new Uint8Array(4);
    assert.equal(readOnce(two.read.number, buffer), 1);
    assert.equal(buffer[0], 7);
    for (const end of [...second.descriptors, one.read, two.read]) end.close();
  });
});

Deno.test("receiveParcel() reads what a sender has left before it tells of the end, and sendParcel() throws then", async () => {
  await connected(({ left, right }) => {
    sendParcel(left.number, "last", []);
    left.close();
    const last = receiveParcel(right.number);
    assert(typeof last === "object");
    assert.equal(last.text, "last");
    assert.equal(receiveParcel(right.number), "end");
    assert.throws(() => sendParcel(right.number, "late", []), { message: /EPIPE|broken pipe/i });
  });
});

Deno.test("sendParcel() says when the receiver has too much to read, and goes on when it has read", async () => {
  await connected(({ left, right }) => {
    const text = "x".repeat(16 << 10);
    let sent = 0;
    while (sendParcel(left.number, text, [])) assert(++sent < 10_000, "the socket takes everything");
    assert(sent > 0);
    for (let read = 0; read < sent; read++) {
      const parcel = receiveParcel(right.number);
      assert(typeof parcel === "object");
      assert.equal(parcel.text, text);
    }
    assert.equal(sendParcel(left.number, text, []), true);
    assert.throws(() => sendParcel(left.number, "x".repeat(parcelBytesMax + 1), []), RangeError);
  });
});

Deno.test("connectForParcels() says where nobody listens", () => {
  assert.throws(() => connectForParcels("/nowhere/at/all"), { message: /no such file|ENOENT/i });
});
