import assert from "node:assert/strict";
import { Netlink } from "./netlink.ts";

Deno.test("Netlink lists devices, and tells the kernel's reason", () => {
  using netlink = Netlink.open();
  const loopback = netlink.links().find(({ name }) => name === "lo");
  assert.equal(loopback?.index, 1);
  assert.throws(() => netlink.setUp(2 ** 30, true), { name: "SyscallError", code: /ENODEV|EPERM/ });
});
