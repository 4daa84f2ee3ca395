import { deepEqual, equal, rejects } from "node:assert/strict";
import {
  ControllerCreateRequest,
  ControllerDefinition,
  ControllerMetricsResponse,
  ControllerStartResponse,
  ControllerStatusResponse,
  ControllerUpdateRequest,
  StoreDefinition,
} from "../../api/gen/services/sandbox/v1/sandbox.ts";
import { Sandbox } from "../../api/gen/types/sandbox.ts";
import { type Code, isFailure } from "../../api/errors.ts";
import { type SandboxController, SandboxControllerService } from "./sandbox_controller.ts";
import { SandboxStoreService } from "./sandbox_store.ts";
import { clientOf, withBench } from "./service_fixture.ts";

const any = { typeUrl: "x/y", value: new Uint8Array([1, 2]) };
const is = (code: Code, text: string) => (error: unknown) => isFailure(error, code) && error.message === text;
const full = Sandbox.fromPartial({
  sandboxId: "s1",
  runtime: { name: "r", options: any },
  spec: any,
  labels: { a: "b", e: "" },
  extensions: { x: any },
  sandboxer: "podsandbox",
});

Deno.test("SandboxStoreService keeps sandboxes, lists them by id and filter, and forgets them", () =>
  withBench(async (bench) => {
    const store = clientOf(StoreDefinition, new SandboxStoreService(bench));
    await rejects(store.get({ sandboxId: "s1" }), is("NotFound", "no sandbox buckets"));
    deepEqual(await store.list({ filters: [] }), { list: [] });
    const { sandbox: created } = await store.create({ sandbox: full });
    const { createdAt, updatedAt, ...rest } = created!;
    const { createdAt: _, updatedAt: __, ...given } = full;
    deepEqual(rest, { ...given, labels: { a: "b" } });
    deepEqual(createdAt, updatedAt);
    deepEqual(await store.get({ sandboxId: "s1" }), { sandbox: created });
    await rejects(store.create({ sandbox: full }), is("AlreadyExists", 'sandbox "s1"'));
    await rejects(store.create({ sandbox: { ...full, sandboxId: "a b" } }), /failed to validate sandbox: invalid sand/);
    for (const sandbox of [undefined, { ...full, runtime: undefined }]) {
      await rejects(store.create({ sandbox }), (error) => isFailure(error, "InvalidArgument"));
    }
    await store.create({ sandbox: { ...full, sandboxId: "S0", labels: {} } });
    const ids = async (...filters: string[]) => (await store.list({ filters })).list.map(({ sandboxId }) => sandboxId);
    deepEqual(await ids(), ["S0", "s1"]);
    deepEqual(await ids("labels.a"), ["s1"]);
    deepEqual(await ids("id==S0", "id==x"), ["S0"]);
    await rejects(ids("id=="), /[^t]: invalid argument$/);
    await rejects(store.get({ sandboxId: "nope" }), (error) => isFailure(error, "NotFound"));
    await store.delete({ sandboxId: "s1" });
    await rejects(store.delete({ sandboxId: "s1" }), (error) => isFailure(error, "NotFound"));
    deepEqual(bench.published, []);
  }));

Deno.test("SandboxStoreService.update() takes over what the fields say, and keeps the runtime's name without any", () =>
  withBench(async (bench) => {
    const store = clientOf(StoreDefinition, new SandboxStoreService(bench));
    await store.create({ sandbox: full });
    const other = { typeUrl: "z", value: new Uint8Array([3]) };
    const given = {
      ...full,
      labels: { n: "1" },
      spec: other,
      extensions: { y: other },
      runtime: { name: "q", options: any },
    };
    const update = async (fields: string[], sandbox: Sandbox = given) =>
      (await store.update({ sandbox, fields })).sandbox!;
    deepEqual((await update(["labels.n", "labels.a"])).labels, { n: "1" });
    deepEqual((await update(["extensions.y"])).extensions, { x: any, y: other });
    deepEqual((await update(["extensions"])).extensions, { y: other });
    deepEqual((await update(["spec"])).spec, other);
    await rejects(update([]), is("InvalidArgument", "sandbox.Runtime.Name field is immutable"));
    await rejects(update(["sandboxer"]), is("InvalidArgument", 'cannot update "sandboxer" field on sandbox "s1"'));
    deepEqual((await update(["runtime"])).runtime, given.runtime);
    const whole = await update([], { ...given, labels: { w: "1" } });
    deepEqual([whole.labels, whole.sandboxer], [{ w: "1" }, "podsandbox"]);
    await rejects(update([], { ...given, sandboxId: "s2" }), is("NotFound", 'bucket "s2" not found'));
  }));

const controller: SandboxController = {
  create: ({ sandboxId }) => Promise.resolve({ sandboxId }),
  start: ({ sandboxId }) => Promise.resolve(ControllerStartResponse.fromPartial({ sandboxId, pid: 7 })),
  stop: () => Promise.resolve({}),
  wait: () => Promise.resolve({ exitStatus: 3, exitedAt: { seconds: 1, nanos: 0 } }),
  status: ({ sandboxId }) => Promise.resolve(ControllerStatusResponse.fromPartial({ sandboxId, state: "READY" })),
  shutdown: () => Promise.resolve({}),
  metrics: () => Promise.resolve(ControllerMetricsResponse.create()),
  update: () => Promise.resolve({}),
};

Deno.test("SandboxControllerService hands calls to the controller that they name, and tells of what came of them", () =>
  withBench(async (bench) => {
    const parts = { ...bench, controllers: new Map([["mine", controller]]) };
    const client = clientOf(ControllerDefinition, new SandboxControllerService(parts));
    const request = { sandboxId: "s", sandboxer: "mine" };
    await client.create(ControllerCreateRequest.fromPartial(request));
    equal((await client.start(request)).pid, 7);
    const { state, extra } = await client.status({ ...request, verbose: true });
    deepEqual([state, extra], ["READY", { typeUrl: "", value: new Uint8Array() }]);
    equal((await client.wait(request)).exitStatus, 3);
    deepEqual(bench.published.map(({ topic, message }) => [topic, message]), [
      ["/sandboxes/create", { sandboxId: "s" }],
      ["/sandboxes/start", { sandboxId: "s" }],
      ["/sandboxes/exit", { sandboxId: "s", exitStatus: 3, exitedAt: { seconds: 1, nanos: 0 } }],
    ]);
    await rejects(client.update(ControllerUpdateRequest.fromPartial(request)), is("Unknown", "sandbox can not be nil"));
    await client.update(ControllerUpdateRequest.fromPartial({ ...request, sandbox: full }));
    await rejects(client.platform(request), (error) => isFailure(error, "NotImplemented"));
  }));

Deno.test("SandboxControllerService says which controllers there are not", () =>
  withBench(async (bench) => {
    const service = new SandboxControllerService({ ...bench, controllers: new Map() });
    const client = clientOf(ControllerDefinition, service);
    const start = (sandboxer: string) => client.start({ sandboxId: "s", sandboxer });
    await rejects(start(""), is("InvalidArgument", "sandbox controller name can not be empty"));
    await rejects(start("x"), is("NotFound", "failed to get sandbox controller by x"));
    await rejects(start("shim"), (error) => isFailure(error, "NotImplemented"));
    await rejects(
      client.start({ sandboxId: "s", sandboxer: "shim" }, { metadata: { "containerd-namespace": "" } }),
      is("FailedPrecondition", "namespace is required"),
    );
    deepEqual(bench.published, []);
  }));
