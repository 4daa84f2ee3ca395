import assert from "node:assert/strict";
import { Request, Response } from "../gen/ttrpc/ttrpc.ts";
import * as envelope from "./envelope.ts";

Deno.test("putRequest() writes what the generated code reads, and decodeRequest() the other way round", () => {
  for (const timeoutNanos of [0, 1, 127, 128, 5e9, 2 ** 53 - 1]) {
    for (const length of [0, 1, 127, 128, 20_000]) {
      const parts = {
        prefix: envelope.requestPrefix("containerd.task.v2.Task", "State"),
        payload: new Uint8Array(length).fill(7),
        timeoutNanos,
        metadata: envelope.encodeMetadata({ "containerd-namespace": "n\u00e9", "X-Long": "z".repeat(200) }),
      };
      const bytes = new Uint8Array(envelope.requestBytes(parts) + 3);
      envelope.putRequest(bytes, 3, parts);
      const request = Request.decode(bytes.subarray(3));
      const metadata = [
        { key: "containerd-namespace-ttrpc", value: "n\u00e9" },
        { key: "x-long", value: "z".repeat(200) },
      ];
      const { payload } = parts;
      const expected = {
        service: "containerd.task.v2.Task",
        method: "State",
        payload,
        timeoutNano: timeoutNanos,
        metadata,
      };
      assert.deepEqual(request, expected);
      const decoded = envelope.decodeRequest(Request.encode(request).finish());
      assert.equal(decoded.service, request.service);
      assert.equal(decoded.method, request.method);
      assert.deepEqual(decoded.payload, request.payload);
      assert.equal(decoded.timeoutMs, timeoutNanos === 0 ? undefined : timeoutNanos / 1e6);
      assert.deepEqual([...envelope.metadataOf(decoded.metadata)], [
        ["containerd-namespace", "n\u00e9"],
        ["x-long", "z".repeat(200)],
      ]);
    }
  }
});

Deno.test("decodeRequest() takes a negative timeout for none", () => {
  const bytes = Request.encode(Request.create({ service: "s", timeoutNano: -5 })).finish();
  assert.equal(envelope.decodeRequest(bytes).timeoutMs, undefined);
});

Deno.test("metadataOf() keeps the first value of a key in lower case, and not the key of gRPC", () => {
  const request = Request.create({
    metadata: [{ key: "A", value: "1" }, { key: "a", value: "2" }, { key: "containerd-namespace", value: "no" }],
  });
  const { metadata } = envelope.decodeRequest(Request.encode(request).finish());
  assert.deepEqual([...envelope.metadataOf(metadata)], [["a", "1"]]);
});

Deno.test("encodeFailure() and putResponse() write what the generated code reads, and decodeResponse() the other way", () => {
  const failure = Response.decode(envelope.encodeFailure({ code: 5, message: "\u00e9: not found" }));
  assert.deepEqual(failure.status, { code: 5, message: "\u00e9: not found", details: [] });
  const bytes = new Uint8Array(envelope.responseBytes(300));
  envelope.putResponse(bytes, 0, new Uint8Array(300).fill(9));
  assert.deepEqual(Response.decode(bytes), { status: undefined, payload: new Uint8Array(300).fill(9) });
  const details = [{ typeUrl: "x", value: new Uint8Array(3) }];
  const encoded = Response.encode({ status: { code: 9, message: "m", details }, payload: new Uint8Array([1]) })
    .finish();
  const decoded = envelope.decodeResponse(encoded);
  assert.deepEqual(decoded.status, { code: 9, message: "m" });
  assert.deepEqual([...decoded.payload], [1]);
  assert.deepEqual(envelope.decodeResponse(new Uint8Array()).status, { code: 0, message: "" });
});

Deno.test("decodeRequest() and decodeResponse() refuse what is no message", () => {
  for (const bytes of [[0x0a], [0x0a, 5, 1], [0x02], [0x0b], [0x20, 0x80], Array(11).fill(0xff), [0x29, 1, 2]]) {
    assert.throws(() => envelope.decodeRequest(new Uint8Array(bytes)), envelope.Malformed);
    assert.throws(() => envelope.decodeResponse(new Uint8Array(bytes)), envelope.Malformed);
  }
});
