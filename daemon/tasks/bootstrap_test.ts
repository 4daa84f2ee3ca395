import assert from "node:assert/strict";
import { BootstrapResult } from "../../api/gen/runtime/bootstrap/v1/bootstrap.ts";
import { endpointJson, parseEndpoint, socketOf } from "./bootstrap.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const address = "unix:///run/containerd/s/abc";

Deno.test("parseEndpoint() understands an address alone, JSON and protobuf", () => {
  assert.deepEqual(parseEndpoint(bytes(`${address}\n`)), { version: 2, address, protocol: "ttrpc" });
  const endpoint = { version: 3, address, protocol: "ttrpc" } as const;
  assert.deepEqual(parseEndpoint(bytes(endpointJson(endpoint))), endpoint);
  assert.deepEqual(parseEndpoint(bytes(` {"version":2,"address":"${address}","protocol":"TTRPC"}`)).version, 2);
  assert.deepEqual(parseEndpoint(BootstrapResult.encode(BootstrapResult.fromPartial(endpoint)).finish()), endpoint);
});

Deno.test("parseEndpoint() refuses what it cannot speak, and nonsense", () => {
  const refuses = (text: string, code: string) =>
    assert.throws(() => parseEndpoint(bytes(text)), { code }, JSON.stringify(text));
  refuses(`{"version":4,"address":"${address}"}`, "NotImplemented");
  refuses(`{"version":1,"address":"${address}"}`, "NotImplemented");
  refuses(`{"version":3,"address":"${address}","protocol":"grpc"}`, "NotImplemented");
  refuses(`{"version":3}`, "InvalidArgument");
  refuses(`{"version":3,`, "InvalidArgument");
  refuses(" \n", "InvalidArgument");
  refuses("x".repeat(70_000), "InvalidArgument");
  refuses("\x08\xff", "InvalidArgument");
});

Deno.test("socketOf() gives paths and abstract names", () => {
  assert.equal(socketOf(address), "/run/containerd/s/abc");
  assert.equal(socketOf("/containerd-shim/x.sock"), "@/containerd-shim/x.sock");
  assert.throws(() => socketOf("vsock://3:1024"), { code: "NotImplemented" });
});
