import assert from "node:assert/strict";
import {
  CheckpointTaskRequest,
  CreateTaskRequest,
  StartRequest,
  TasksDefinition,
} from "../../api/gen/services/tasks/v1/tasks.ts";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { CheckpointOptions } from "../../api/gen/types/runc/options/oci.ts";
import { Failure } from "../../api/errors.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import { Differ } from "../diff/differ.ts";
import { openStores } from "../store.ts";
import type { Task } from "../tasks/task.ts";
import { CheckpointBlobs } from "./checkpoint_blobs.ts";
import { type TasksParts, TasksService } from "./tasks.ts";

const root = Deno.uid() === 0;
const name = "TasksService makes blobs of checkpoints, and directories of blobs for as long as a start needs them";

/** A runtime whose shim saves one file, and restores from what it is given. */
function runtime(paths: string[]): TasksParts["tasks"] {
  const call = (method: string, { path = "" }: { path?: string }): Promise<object> => {
    if (method === "start") return Promise.resolve({ pid: 7 });
    assert.equal(method, "checkpoint");
    paths.push(path);
    Deno.writeTextFileSync(`${path}/pages`, "memory");
    return Promise.resolve({});
  };
  // Of a task nothing else is asked for here.
  const task = { id: "box", pid: 0, call } as unknown as Task;
  return {
    whenMade: () => Promise.resolve(),
    remembered: () => undefined,
    get: () => task,
    list: () => [],
    create: ({ request: { checkpoint } }) => {
      paths.push(checkpoint);
      assert.equal(Deno.readTextFileSync(`${checkpoint}/pages`), "memory");
      return paths.length > 2 ? Promise.reject(new Failure("Unknown", "no shim")) : Promise.resolve(task);
    },
    kill: () => Promise.resolve(),
    delete: () => Promise.reject(new Failure("Unknown", "not asked for")),
  };
}

const isThere = (path: string): boolean => {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
};

Deno.test({
  name: root ? name : `${name} (skipped: not root)`,
  ignore: !root,
  async fn() {
    const directory = await Deno.makeTempDir();
    try {
      using stores = await openStores(`${directory}/root`);
      using differ = new Differ({ mountDirectory: `${directory}/root/tmpmounts` });
      const spec = Any.encode({ typeUrl: "spec", value: new Uint8Array([123, 125]) }).finish();
      await stores.of("default").containers.create({ id: "box", runtime: "io.containerd.runc.v2", spec });
      const blobs = new CheckpointBlobs({ stores, events: { publish: () => {} }, differ });
      const paths: string[] = [];
      const service = new TasksService({ stores, tasks: runtime(paths), checkpoints: () => Promise.resolve(blobs) });
      const client = inProcess(TasksDefinition, service, { "containerd-namespace": "default" });
      const save = (options?: CheckpointTaskRequest["options"]) =>
        client.checkpoint(CheckpointTaskRequest.fromPartial({ containerId: "box", ...(options && { options }) }));
      const { descriptors: [images, config] } = await save();
      assert.deepEqual([images?.mediaType, config?.mediaType], [
        "application/vnd.containerd.container.criu.checkpoint.criu.tar",
        "application/vnd.containerd.container.checkpoint.config.v1+proto",
      ]);
      assert.equal(isThere(paths[0]!), false);
      assert.equal(config?.size, spec.length);
      const create = (checkpoint = images!) =>
        client.create(CreateTaskRequest.fromPartial({ containerId: "box", checkpoint }));
      await create();
      assert.equal(isThere(paths[1]!), true);
      await client.start(StartRequest.fromPartial({ containerId: "box" }));
      assert.equal(isThere(paths[1]!), false);
      await assert.rejects(create(), /no shim/);
      assert.equal(isThere(paths[2]!), false);
      await assert.rejects(create(config), /unsupported checkpoint type "application\/vnd/);
      await assert.rejects(create({ ...images!, digest: "sha256:" + "0".repeat(64) }), { code: "NotFound" });
      // Who names a directory finds it there.
      const value = CheckpointOptions.encode(CheckpointOptions.create({ imagePath: directory })).finish();
      assert.deepEqual((await save({ typeUrl: "containerd.runc.v1.CheckpointOptions", value })).descriptors, []);
      assert.equal(Deno.readTextFileSync(`${directory}/pages`), "memory");
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
