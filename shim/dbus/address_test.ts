import assert from "node:assert/strict";
import { socketPaths } from "./address.ts";

Deno.test("socketPaths() takes the unix sockets of an address", () => {
  assert.deepEqual(socketPaths("unix:path=/run/dbus/system_bus_socket"), ["/run/dbus/system_bus_socket"]);
  assert.deepEqual(socketPaths("tcp:host=a,port=1;unix:abstract=/tmp/x%20y,guid=0f;unix:guid=1,path=/z"), [
    "\0/tmp/x y",
    "/z",
  ]);
});

Deno.test("socketPaths() refuses an address without one", () => {
  for (const address of ["", "tcp:host=a,port=1", "unix:", "autolaunch:", "unix:path=%zz"]) {
    assert.throws(() => socketPaths(address), /cannot use the D-Bus address/, address);
  }
});
