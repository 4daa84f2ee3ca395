import { equal, ok } from "node:assert/strict";
import { ContentDefinition } from "../../api/gen/services/content/v1/content.ts";
import { LeasesDefinition } from "../../api/gen/services/leases/v1/leases.ts";
import { serve } from "../../api/grpc/server.ts";
import { ServiceTable } from "../../api/rpc/definition.ts";
import { containerdPrograms, startContainerd } from "../../bench/containerd.ts";
import { ContentService } from "../../daemon/services/content.ts";
import { LeasesService } from "../../daemon/services/leases.ts";
import { ownStores } from "../../daemon/store.ts";
import { systemTest } from "../command.ts";
import { makeScratch } from "../scratch.ts";
import { transcriptOf } from "./content_client.ts";
import { scenarios } from "./content_scenarios.ts";

for (const [name, scenario] of Object.entries(scenarios)) {
  systemTest(`ContentService answers as stock containerd does: ${name}`, containerdPrograms, async () => {
    await using scratch = await makeScratch();
    await using containerd = await startContainerd(scratch.path, scratch.path);
    await using barge = await serveContent(scratch.path);
    const run = async (socket: string) =>
      await scenario((namespace, lease) => transcriptOf(socket, namespace, lease), "one");
    const [theirs, ours] = [await run(containerd.address), await run(barge.socket)];
    ok(theirs.length > 0);
    equal(ours.length, theirs.length);
    const different = theirs.flatMap((line, index) => line === ours[index] ? [] : [`- ${line}`, `+ ${ours[index]}`]);
    ok(different.length === 0, `\n${different.join("\n")}`);
  });
}

async function serveContent(directory: string): Promise<{ socket: string } & AsyncDisposable> {
  await Deno.mkdir(`${directory}/barge`);
  const stores = await ownStores(`${directory}/barge`);
  const events = { publish: () => {} };
  const collector = { collect: () => Promise.resolve() };
  const table = new ServiceTable()
    .add(ContentDefinition, new ContentService({ stores, events }))
    .add(LeasesDefinition, new LeasesService({ stores, collector }));
  const socket = `${directory}/barge.sock`;
  const server = serve(Deno.listen({ transport: "unix", path: socket }), table);
  return {
    socket,
    async [Symbol.asyncDispose]() {
      server.close();
      await server.closed;
      stores.close();
    },
  };
}
