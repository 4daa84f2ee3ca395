import assert from "node:assert/strict";
import {
  CreateTaskRequest,
  ExecProcessRequest,
  GetRequest,
  TasksDefinition,
} from "../../api/gen/services/tasks/v1/tasks.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { Failure } from "../../api/errors.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import { openStores } from "../store.ts";
import { taskNotFound } from "../tasks/task.ts";
import { type TasksParts, TasksService } from "./tasks.ts";

/** A runtime that has no tasks and makes none. */
const idle: TasksParts["tasks"] = {
  whenMade: () => Promise.resolve(),
  remembered: () => undefined,
  get: (_namespace, id) => {
    throw taskNotFound(id);
  },
  list: () => [],
  create: ({ id, runtime }) => Promise.reject(new Failure("Unknown", `${id} by ${runtime}`)),
  kill: (task) => Promise.reject(taskNotFound(task.id)),
  delete: (task) => Promise.reject(taskNotFound(task.id)),
};

async function withTasks(body: (client: ReturnType<typeof inProcess<typeof TasksDefinition>>) => Promise<void>) {
  const directory = await Deno.makeTempDir();
  try {
    using stores = await openStores(`${directory}/root`);
    await stores.of("default").containers.create({ id: "there", runtime: "io.containerd.runc.v2" });
    await body(
      inProcess(TasksDefinition, new TasksService({ stores, tasks: idle }), { "containerd-namespace": "default" }),
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function fails(code: Failure["code"], text: string | RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof Failure && error.code === code &&
    (typeof text === "string" ? error.message === text : text.test(error.message));
}

Deno.test("TasksService asks for the container's record first, then for its task", () =>
  withTasks(async (client) => {
    const get = (containerId: string) => client.get(GetRequest.fromPartial({ containerId }));
    await assert.rejects(get("none"), fails("NotFound", 'container "none" in namespace "default"'));
    await assert.rejects(get("there"), fails("NotFound", "task there not found"));
    const waiting = client.wait({ containerId: "there", execId: "" });
    await assert.rejects(waiting, fails("NotFound", "task there not found"));
    const exec = client.exec(ExecProcessRequest.fromPartial({ containerId: "there" }));
    await assert.rejects(exec, fails("InvalidArgument", "exec id cannot be empty"));
  }));

Deno.test("TasksService.create() takes the runtime of the record, or the path that is given", () =>
  withTasks(async (client) => {
    const create = (containerId: string, fields = {}) =>
      client.create(CreateTaskRequest.fromPartial({ containerId, ...fields }));
    await assert.rejects(create("there"), fails("Unknown", "there by io.containerd.runc.v2"));
    await assert.rejects(create("there", { runtimePath: "/bin/shim" }), fails("Unknown", "there by /bin/shim"));
    await assert.rejects(create("none"), fails("NotFound", /container "none"/));
    const options = { typeUrl: "some.Options", value: new Uint8Array(1) };
    await assert.rejects(create("there", { options }), fails("Unknown", /^invalid task create option for io\./));
    const value = Options.encode(Options.fromPartial({ taskApiAddress: "unix:///x" })).finish();
    const sandboxed = [{ taskApiAddress: "unix:///x" }, {
      options: { typeUrl: "x/containerd.runc.v1.Options", value },
    }];
    for (const fields of sandboxed) {
      await assert.rejects(create("there", fields), fails("NotImplemented", /^task_api_address: /));
    }
    const checkpoint = { mediaType: "x", digest: "sha256:1", size: 1 };
    await assert.rejects(create("there", { checkpoint }), fails("NotImplemented", /^checkpoints that are blobs need/));
  }));

Deno.test("TasksService has empty lists, in a namespace", () =>
  withTasks(async (client) => {
    assert.deepEqual(await client.list({ filter: "!" }), { tasks: [] });
    assert.deepEqual(await client.metrics({ filters: [] }), { metrics: [] });
    const metadata = { "containerd-namespace": "" };
    await assert.rejects(
      client.list({ filter: "" }, { metadata }),
      fails("FailedPrecondition", /namespace is required/),
    );
    await assert.rejects(client.metrics({ filters: ["=="] }), fails("Unknown", /filters: parse error/));
  }));
