import assert from "node:assert/strict";
import { IntrospectionDefinition } from "../../api/gen/services/introspection/v1/introspection.ts";
import { Failure, isFailure } from "../../api/errors.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import { IntrospectionService, type PluginReport } from "./introspection.ts";
import { serverUuid } from "./introspection_uuid.ts";

const good: PluginReport = {
  type: "io.containerd.snapshotter.v1",
  id: "overlayfs",
  requires: ["a", "b"],
  platforms: [{ os: "linux", architecture: "amd64" }],
  exports: { root: "/r" },
  capabilities: ["rebase"],
};
const bad: PluginReport = { ...good, id: "zfs", error: new Failure("FailedPrecondition", "no zfs: skip plugin") };

/** A plugin that answers with what it was asked. */
const talkative: PluginReport = {
  ...good,
  type: "io.containerd.runtime.v2",
  id: "task",
  instance: {
    pluginInfo: (question: { typeUrl: string; value: Uint8Array }) =>
      Promise.resolve({ typeUrl: `answer to ${question.typeUrl}`, value: question.value }),
  },
};

async function withClient(
  body: (client: ReturnType<typeof makeClient>, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body(makeClient(directory), directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function makeClient(directory: string) {
  const deprecations = () => [{ id: "io.containerd.deprecation/x", message: "goes", lastOccurrence: 1500 }];
  const service = new IntrospectionService({
    plugins: () => [good, bad, talkative],
    deprecations,
    directory: `${directory}/made`,
  });
  return inProcess(IntrospectionDefinition, service);
}

Deno.test("IntrospectionService tells plugins with their errors, as far as filters let them pass", () =>
  withClient(async (client) => {
    const { plugins } = await client.plugins({ filters: [] });
    assert.deepEqual(plugins.map(({ id }) => id), ["overlayfs", "zfs", "task"]);
    assert.deepEqual(plugins[0], {
      ...good,
      platforms: [{ os: "linux", architecture: "amd64", variant: "", osVersion: "", osFeatures: [] }],
      initErr: undefined,
    });
    assert.deepEqual(plugins[1]?.initErr, {
      code: 9,
      message: "no zfs: skip plugin: failed precondition",
      details: [],
    });
    const ids = async (...filters: string[]) => (await client.plugins({ filters })).plugins.map(({ id }) => id);
    assert.deepEqual(await ids("id==zfs"), ["zfs"]);
    assert.deepEqual(await ids("type==io.containerd.snapshotter.v1,id~=over", "id==zfs"), ["overlayfs", "zfs"]);
    assert.deepEqual(await ids("platforms", "capabilities"), []);
    await assert.rejects(client.plugins({ filters: ["id=="] }), (error) => isFailure(error, "InvalidArgument"));
  }));

Deno.test("IntrospectionService tells process, namespace of processes, deprecations, and a UUID that stays", () =>
  withClient(async (client, directory) => {
    const server = await client.server({});
    assert.match(server.uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(server.pid, Deno.pid);
    assert.equal(server.pidns, Number(/\d+/.exec(Deno.readLinkSync("/proc/self/ns/pid"))![0]));
    assert.deepEqual(server.deprecations[0]?.lastOccurrence, { seconds: 1, nanos: 500_000_000 });
    assert.equal(serverUuid(`${directory}/made`), server.uuid);
    await Deno.writeTextFile(`${directory}/made/uuid`, server.uuid.slice(0, 7));
    assert.notEqual(serverUuid(`${directory}/made`), server.uuid);
    assert.equal(serverUuid(`${directory}/made`), serverUuid(`${directory}/made`));
    assert.deepEqual([...Deno.readDirSync(`${directory}/made`)].map(({ name }) => name), ["uuid"]);
  }));

Deno.test("IntrospectionService.pluginInfo() tells one plugin, and refuses options that none understands", () =>
  withClient(async (client) => {
    const options = { typeUrl: "x", value: new Uint8Array() };
    const { type } = good;
    assert.equal((await client.pluginInfo({ type, id: "zfs", options: undefined })).plugin?.id, "zfs");
    const codes: [string, Failure["code"]][] = [
      ["zfs", "FailedPrecondition"],
      ["overlayfs", "NotImplemented"],
      ["none", "NotFound"],
    ];
    for (const [id, code] of codes) {
      await assert.rejects(client.pluginInfo({ type, id, options }), (error) => isFailure(error, code), id);
    }
  }));

Deno.test("IntrospectionService.pluginInfo() passes a question on to the plugin that can answer", () =>
  withClient(async (client) => {
    const { type, id } = talkative;
    const options = { typeUrl: "x", value: Uint8Array.of(7) };
    const { plugin, extra } = await client.pluginInfo({ type, id, options });
    assert.equal(plugin?.id, "task");
    assert.deepEqual(extra, { typeUrl: "answer to x", value: Uint8Array.of(7) });
    assert.equal((await client.pluginInfo({ type, id, options: undefined })).extra, undefined);
  }));
