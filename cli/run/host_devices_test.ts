import { deepStrictEqual as equal, ok } from "node:assert/strict";
import { hostDevices } from "./host_devices.ts";

Deno.test("hostDevices() finds /dev/null by number and mode, and neither terminals nor the console", () => {
  const devices = hostDevices();
  const nothing = devices.find(({ path }) => path === "/dev/null");
  equal([nothing?.type, nothing?.major, nothing?.minor], ["c", 1, 3]);
  ok(!devices.some(({ path }) => path.startsWith("/dev/pts/") || path === "/dev/console"));
  ok(devices.every(({ major, fileMode }) => major !== undefined && fileMode !== undefined && fileMode <= 0o7777));
});
