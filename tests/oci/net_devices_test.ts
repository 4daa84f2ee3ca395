/**
 * Network devices of the host that go to containers (`linux.netDevices`). Stock runc 1.1 does not know them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runtimeTest } from "../bundle.ts";
import { execute, succeed } from "../command.ts";

/** Names of a pair of devices that no other test has. */
function makeNames(): [string, string] {
  const text = crypto.randomUUID().slice(0, 8);
  return [`bga${text}`, `bgb${text}`];
}

runtimeTest("a device goes to the container by its new name, with its addresses", async (bundle, runtime, scratch) => {
  const [device, peer] = makeNames();
  await succeed(["ip", "link", "add", device, "type", "veth", "peer", "name", peer]);
  try {
    await succeed(["ip", "address", "add", "10.213.7.1/24", "dev", device]);
    await succeed(["ip", "address", "add", "fd00:213::1/64", "dev", device, "nodad"]);
    await succeed(["ip", "link", "set", device, "up"]);
    await bundle.edit((spec) => {
      spec.linux.netDevices = { [device]: { name: "eth%d" }, [peer]: {} };
    });
    const { code, stdout, stderr } = await bundle.run("ip -o address; ip -o link");
    assert.equal(code, 0, stderr);
    const lines = stdout.split("\n");
    assert.ok(lines.some((line) => /eth0 +inet 10\.213\.7\.1\/24/.test(line)), stdout);
    assert.ok(lines.some((line) => /eth0 +inet6 fd00:213::1\/64/.test(line)), stdout);
    // Both ends are there, and switched on.
    for (const name of ["eth0", peer]) {
      assert.ok(lines.some((line) => new RegExp(` ${name}@.*<[A-Z,_]*\\bUP\\b`).test(line)), stdout);
    }
    assert.equal(await runtime.state(scratch.id("c")), undefined);
  } finally {
    // With the namespace the kernel has removed it.
    await execute(["ip", "link", "delete", device]);
  }
}, { only: "barge", programs: ["ip"] });

runtimeTest("what is wrong with a device is said, and the host keeps it", async (bundle, runtime, scratch) => {
  const [device, peer] = makeNames();
  await succeed(["ip", "link", "add", device, "type", "veth", "peer", "name", peer]);
  try {
    const refused = async (devices: Record<string, { name?: string }>, says: RegExp): Promise<void> => {
      await bundle.edit((spec) => spec.linux.netDevices = devices);
      const { code, stderr } = await bundle.run("true");
      assert.equal(code, 1);
      assert.match(stderr, says);
    };
    await refused({ "not-there": {} }, /link not found for interface not-there on runtime namespace/);
    await refused({ [device]: { name: "a/b" } }, /invalid network device name/);
    // The container's own has this name.
    await refused({ [device]: { name: "lo" } }, new RegExp(`move the network device .*${device}.*exists`));
    assert.ok((await succeed(["ip", "-o", "link", "show", device])).includes(device));
    await bundle.edit((spec) =>
      spec.linux.namespaces = spec.linux.namespaces!.filter(({ type }) => type !== "network")
    );
    await refused({ [device]: {} }, /unable to move network devices without a network namespace/);
    assert.equal(await runtime.state(scratch.id("c")), undefined);
  } finally {
    await execute(["ip", "link", "delete", device]);
  }
}, { only: "barge", programs: ["ip"] });
