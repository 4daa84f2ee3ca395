/**
 * How long a small call has to wait while the daemon does something large.
 *
 * @module
 */
import { ImagesDefinition } from "../../api/gen/services/images/v1/images.ts";
import { LeasesDefinition } from "../../api/gen/services/leases/v1/leases.ts";
import { SnapshotsDefinition } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { dropContent, writeContent } from "./loads.ts";
import type { Side } from "./sides.ts";

/** Calls Version again and again from a thread of its own while `work` runs; gives the longest answer's milliseconds. */
export async function worstDelay(side: Side, work: () => Promise<unknown>): Promise<number> {
  const worker = new Worker(new URL("./delay_worker_main.ts", import.meta.url), { type: "module" });
  const { promise: worst, resolve, reject } = Promise.withResolvers<number>();
  const ready = Promise.withResolvers<void>();
  worker.onmessage = ({ data }: MessageEvent<"ready" | number>) => data === "ready" ? ready.resolve() : resolve(data);
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(event.message));
    ready.reject(new Error(event.message));
  };
  worker.postMessage(side.address);
  await ready.promise;
  await work();
  worker.postMessage("stop");
  try {
    return await worst;
  } finally {
    worker.terminate();
  }
}

/** Hashes and stores so many MiB. */
export async function hashing(side: Side, mebibytes: number): Promise<void> {
  const { digest } = await writeContent(side, mebibytes);
  await dropContent(side, digest);
}

/** Makes and removes a snapshot of so many files. */
export async function preparedTree(side: Side, files: number): Promise<() => Promise<void>> {
  const snapshots = side.channel.client(SnapshotsDefinition);
  const key = `tree-${crypto.randomUUID()}`;
  const labels = { "containerd.io/gc.root": "bench" };
  const { mounts } = await snapshots.prepare({ snapshotter: "overlayfs", key, parent: "", labels });
  const place = mounts[0]!.source;
  for (let n = 0; n < files; n++) {
    if (n % 200 === 0) Deno.mkdirSync(`${place}/d${n / 200}`);
    Deno.writeTextFileSync(`${place}/d${Math.floor(n / 200)}/f${n}`, "x");
  }
  return async () => {
    await snapshots.remove({ snapshotter: "overlayfs", key });
    await collect(side);
  };
}

/** Fills the store with references and expired images; gives what collects them. */
export async function preparedGarbage(side: Side, images: number, labelsEach: number): Promise<() => Promise<void>> {
  const client = side.channel.client(ImagesDefinition);
  const target = {
    mediaType: "application/vnd.oci.image.index.v1+json",
    digest: `sha256:${"2".repeat(64)}`,
    size: 1,
    annotations: {},
  };
  const prefix = crypto.randomUUID();
  let next = 0;
  const create = async () => {
    while (next < images) {
      const n = next++;
      const labels: Record<string, string> = {};
      for (let l = 0; l < labelsEach; l++) {
        labels[`containerd.io/gc.ref.content.l.${l}`] = `sha256:${(n * labelsEach + l).toString(16).padStart(64, "0")}`;
      }
      // Half of them are garbage.
      if (n % 2 === 0) labels["containerd.io/gc.expire"] = "2020-01-01T00:00:00Z";
      const image = { name: `${prefix}-${n}`, labels, target, createdAt: undefined, updatedAt: undefined };
      await client.create({ image, sourceDateEpoch: undefined });
    }
  };
  await Promise.all(Array.from({ length: 32 }, create));
  return () => collect(side);
}

/** Waits for a collection, as every client can. */
export async function collect(side: Side): Promise<void> {
  const leases = side.channel.client(LeasesDefinition);
  const { lease } = await leases.create({ id: "", labels: {} });
  await leases.delete({ id: lease!.id, sync: true });
}
