import { deepEqual, equal, rejects } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import {
  ActivateRequest,
  ListRequest,
  MountsDefinition,
  UpdateRequest,
} from "../../api/gen/services/mounts/v1/mounts.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import { keptActivations } from "../mounts/kept.ts";
import { MountManager } from "../mounts/mount_manager.ts";
import { openStores } from "../store.ts";
import { MountsService } from "./mounts.ts";

const root = Deno.uid() === 0;
const signal = AbortSignal.timeout(30_000);
const tmpfs = { type: "tmpfs", source: "tmpfs", options: ["size=1m"] };

Deno.test({
  name: `MountsService answers for activations, of one namespace and under leases${root ? "" : " (skipped: not root)"}`,
  ignore: !root,
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "barge-mounts-service-" });
    try {
      using stores = await openStores(`${dir}/root`);
      using manager = await MountManager.open({ directory: `${dir}/state`, roots: [] }, () => {});
      const service = new MountsService({ stores, manager });
      const client = inProcess(MountsDefinition, service, { "containerd-namespace": "ns" });
      const names = async (namespace: string) => {
        const found: string[] = [];
        const metadata = { "containerd-namespace": namespace };
        for await (const { info } of client.list(ListRequest.create(), { metadata })) found.push(info!.name);
        return found;
      };
      const request = (name: string, labels = {}) =>
        ActivateRequest.fromPartial({ name, labels, mounts: [tmpfs], temporary: true });
      const metadata = { "containerd-lease": "l" };
      await rejects(client.activate(request("x"), { metadata }), (error) => isFailure(error, "NotFound"));
      await stores.database.transaction(() =>
        stores.database.run(
          "INSERT INTO leases (namespace, id, owned, created) VALUES ('ns', 'l', 0, 0)",
        )
      );
      const { info } = await client.activate(request("leased", { a: "b" }), { metadata });
      equal(info!.active[0]!.mount!.type, "tmpfs");
      deepEqual(info!.labels, { a: "b" });
      deepEqual(info!.system, [{ type: "bind", source: info!.active[0]!.mountPoint, target: "", options: ["rbind"] }]);
      deepEqual((await client.info({ name: "leased" })).info, info);
      await client.activate(request("back", { "containerd.io/gc.bref.container.x": "c" }));
      await client.activate(request("nobody's"));
      deepEqual(await names("ns"), ["back", "leased", "nobody's"]);
      deepEqual(await names("other"), []);
      await rejects(client.update(UpdateRequest.create()), (error) => isFailure(error, "NotImplemented"));
      await rejects(client.info({ name: "none" }), (error) => isFailure(error, "NotFound"));

      const kept = await keptActivations(manager.all(), stores);
      deepEqual([...kept].map(({ name }) => name), ["leased"], "the container is not there");
      await manager.collect((activation) => kept.has(activation), signal, () => {});
      deepEqual(await names("ns"), ["leased"]);
      await stores.database.transaction(() => stores.database.run("DELETE FROM leases"));
      equal((await keptActivations(manager.all(), stores)).size, 0);
      await client.deactivate({ name: "leased" });
      equal(Deno.readTextFileSync("/proc/self/mountinfo").includes(dir), false);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
