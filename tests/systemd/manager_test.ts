/**
 * The client of systemd's manager, against Debian's message bus and a manager that answers as a test wants.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { Connection } from "../../shim/dbus/connection.ts";
import { type ManagerTimes, ServiceManager } from "../../shim/oci/cgroup/systemd/manager.ts";
import { amount, property } from "../../shim/oci/cgroup/systemd/property.ts";
import { needing } from "../peers.ts";
import { makeScratch } from "../scratch.ts";
import { type Answer, FakeManager, onlyCall, startBus } from "./private_bus.ts";

const job = "/org/freedesktop/systemd1/job/7";
const done: Answer = { signature: "", body: [] };
const began: Answer = { signature: "o", body: [job] };
const noSuchUnit: Answer = { error: "org.freedesktop.systemd1.NoSuchUnit", text: "Unit a.scope not loaded." };

function busTest(name: string, body: (service: FakeManager, path: string) => Promise<void>): void {
  Deno.test({
    ...needing(name, { peers: ["dbus-daemon"] }),
    // Readers of a killed program's pipes may end a little later than the test.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      await using scratch = await makeScratch();
      const { path, daemon } = await startBus(scratch.path);
      await using _daemon = daemon;
      using service = await FakeManager.join(path);
      await body(service, path);
    },
  });
}

const uid = Deno.uid() ?? 0;

async function connect(path: string, times?: ManagerTimes): Promise<ServiceManager> {
  const sockets = [{ path: `${path}.missing`, isBus: true }, { path, isBus: true }];
  return await ServiceManager.connect({ user: false, uid, sockets }, times);
}

/** With a deadline that a busy machine may miss while it connects: that is not what is tested. */
async function connectHastily(path: string, callMsMax: number): Promise<ServiceManager> {
  for (let attempt = 1;; attempt++) {
    try {
      return await connect(path, { callMsMax });
    } catch (error) {
      if (attempt === 50) throw error;
    }
  }
}

busTest("startTransientUnit() passes properties on, and waits for the job", async (service, path) => {
  using manager = await connect(path);
  service.answer = (member) => {
    if (member !== "StartTransientUnit") return done;
    setTimeout(() => service.endJob({ job: `${job}8`, result: "failed" }), 10);
    setTimeout(() => service.endJob({ job, result: "done" }), 50);
    return began;
  };
  const properties = [property("Slice", "s", "a.slice"), property("PIDs", "au", [7]), amount("MemoryMax", -1)];
  await manager.startTransientUnit("a.scope", [...properties, property("DeviceAllow", "a(ss)", [["/dev/null", "rw"]])]);
  assert.deepEqual(onlyCall(service, "StartTransientUnit"), [
    ...["a.scope", "replace"],
    [
      ["Slice", { signature: "s", value: "a.slice" }],
      ["PIDs", { signature: "au", value: [7] }],
      ["MemoryMax", { signature: "t", value: 2n ** 64n - 1n }],
      ["DeviceAllow", { signature: "a(ss)", value: [["/dev/null", "rw"]] }],
    ],
    [],
  ]);
});

busTest("startTransientUnit() takes a job's end that came before the answer", async (service, path) => {
  using manager = await connect(path);
  service.answer = () => {
    service.endJob({ job, result: "done" });
    return began;
  };
  await manager.startTransientUnit("a.scope", []);
});

busTest("startTransientUnit() forgets a failed unit of the name, once", async (service, path) => {
  using manager = await connect(path);
  const exists: Answer = { error: "org.freedesktop.systemd1.UnitExists", text: "Unit a.scope already exists." };
  let refusals = 1;
  service.answer = (member) => {
    if (member !== "StartTransientUnit") return done;
    if (refusals-- > 0) return exists;
    service.endJob({ job, result: "done" });
    return began;
  };
  await manager.startTransientUnit("a.scope", []);
  assert.deepEqual(service.members, ["StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"]);
  refusals = 2;
  const refused = manager.startTransientUnit("a.scope", []);
  await assert.rejects(refused, { code: "AlreadyExists", message: "Unit a.scope already exists." });
});

busTest("startTransientUnit() says in runc's words that a unit did not begin", async (service, path) => {
  using manager = await connect(path, { jobMsMax: 300 });
  service.answer = (member) => {
    if (member !== "StartTransientUnit") return noSuchUnit;
    service.endJob({ job, result: "failed" });
    return began;
  };
  const message = "error creating systemd unit `a.scope`: got `failed`";
  await assert.rejects(manager.startTransientUnit("a.scope", []), { code: "Aborted", message });
  service.answer = () => ({ signature: "o", body: [`${job}9`] });
  await assert.rejects(manager.startTransientUnit("a.scope", []), {
    code: "DeadlineExceeded",
    message: "Timeout waiting for systemd to create a.scope",
  });
});

busTest("stopUnit() is content with a unit that is gone", async (service, path) => {
  using manager = await connect(path);
  service.answer = () => noSuchUnit;
  await manager.stopUnit("a.scope");
  assert.deepEqual(service.members, ["StopUnit", "ResetFailedUnit"]);
  service.answer = (member) => {
    if (member !== "StopUnit") return done;
    service.endJob({ job, result: "done" });
    return began;
  };
  await manager.stopUnit("a.scope");
  assert.deepEqual(service.calls[2], { member: "StopUnit", body: ["a.scope", "replace"] });
});

busTest(
  "version() reads the number, and setUnitProperties() sets for this run of the system",
  async (service, path) => {
    using manager = await connect(path);
    service.answer = (member) =>
      member === "Get" ? { signature: "v", body: [{ signature: "s", value: "v252.39-1~deb12u2" }] } : done;
    assert.equal(await manager.version(), 252);
    await manager.setUnitProperties("a.scope", [amount("TasksMax", 5)]);
    assert.deepEqual(onlyCall(service, "SetUnitProperties"), [
      ...["a.scope", true],
      [["TasksMax", { signature: "t", value: 5n }]],
    ]);
  },
);

busTest("calls end with a sentence where nobody answers, or where the bus goes", async (service, path) => {
  using manager = await connectHastily(path, 300);
  service.answer = () => "silence";
  await assert.rejects(manager.version(), (error) => {
    assert(isFailure(error, "DeadlineExceeded"), String(error));
    assert.match(error.message, /^cannot call org\.freedesktop\.DBus\.Properties\.Get: no answer within 300 ms$/);
    return true;
  });
  using other = await connect(path);
  const waiting = assert.rejects(other.version(), { code: "Unavailable" });
  other[Symbol.dispose]();
  await waiting;
  await assert.rejects(other.version(), /the D-Bus connection broke: it was closed/);
});

busTest("Connection.connect() tells who is not there from who refuses", async (_service, path) => {
  const options = { isBus: true, timeoutMs: 20_000 };
  await assert.rejects(Connection.connect({ ...options, path: `${path}.missing`, uid }), { code: "Unavailable" });
  const refused = Connection.connect({ ...options, path, uid: uid + 1 });
  await assert.rejects(refused, { code: "PermissionDenied", message: /refused user/ });
});
