/**
 * What the daemons are asked to do. Each load gives the time of one operation.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { ContainersDefinition } from "../../api/gen/services/containers/v1/containers.ts";
import { Container } from "../../api/gen/services/containers/v1/containers.ts";
import { ContentDefinition, WriteAction, WriteContentRequest } from "../../api/gen/services/content/v1/content.ts";
import { EventsDefinition } from "../../api/gen/services/events/v1/events.ts";
import { Image, ImagesDefinition } from "../../api/gen/services/images/v1/images.ts";
import { SnapshotsDefinition } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { VersionDefinition } from "../../api/gen/services/version/v1/version.ts";
import type { Side } from "./sides.ts";

let names = 0;
const freshName = () => `n${names++}`;

/** Runs `work` so often, `width` at a time; gives microseconds for each. */
async function perOperation(count: number, width: number, work: (n: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const begin = performance.now();
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < count) await work(next++);
  }));
  return (performance.now() - begin) * 1000 / count;
}

/** Latency of the smallest call, in microseconds. */
export function unary(side: Side, count: number, width: number): Promise<number> {
  const version = side.channel.client(VersionDefinition);
  return perOperation(count, width, () => version.version({}));
}

/** Create, get, list one, delete: microseconds for the four. */
export function containerCycle(side: Side, count: number, width: number): Promise<number> {
  const containers = side.channel.client(ContainersDefinition);
  const spec = { typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Spec", value: new Uint8Array(6_000) };
  return perOperation(count, width, async () => {
    const id = freshName();
    const container = Container.fromPartial({
      id,
      image: "docker.io/library/bench:latest",
      labels: { "bench/label": "value" },
      runtime: { name: "io.containerd.runc.v2" },
      spec,
    });
    await containers.create({ container });
    await containers.get({ id });
    await containers.list({ filters: [`id==${id}`] });
    await containers.delete({ id });
  });
}

function image(name: string, labels: Record<string, string> = {}): Image {
  const target = {
    mediaType: "application/vnd.oci.image.index.v1+json",
    digest: `sha256:${"1".repeat(64)}`,
    size: 1,
    annotations: {},
  };
  return { name, labels, target, createdAt: undefined, updatedAt: undefined };
}

const createRequest = (made: Image) => ({ image: made, sourceDateEpoch: undefined });

/** As {@link containerCycle}, for images. */
export function imageCycle(side: Side, count: number, width: number): Promise<number> {
  const images = side.channel.client(ImagesDefinition);
  return perOperation(count, width, async () => {
    const name = freshName();
    await images.create(createRequest(image(name)));
    await images.get({ name });
    await images.list({ filters: [`name==${name}`] });
    await images.delete({ name, sync: false, target: undefined });
  });
}

/** Prepare, commit, remove: microseconds for the three. */
export function snapshotCycle(side: Side, count: number, width: number): Promise<number> {
  const snapshots = side.channel.client(SnapshotsDefinition);
  const labels = { "containerd.io/gc.root": "bench" };
  return perOperation(count, width, async () => {
    const key = freshName(), name = freshName();
    await snapshots.prepare({ snapshotter: "overlayfs", key, parent: "", labels });
    await snapshots.commit({ snapshotter: "overlayfs", key, name, labels, parent: "" });
    await snapshots.remove({ snapshotter: "overlayfs", key: name });
  });
}

const pieceBytes = 1 << 20;

/** Writes a blob of so many MiB; gives milliseconds, and its digest. */
export async function writeContent(side: Side, mebibytes: number): Promise<{ ms: number; digest: string }> {
  const content = side.channel.client(ContentDefinition);
  const piece = crypto.getRandomValues(new Uint8Array(65_536));
  const data = new Uint8Array(pieceBytes).map((_, index) => piece[index % piece.length]!);
  data.set(new TextEncoder().encode(freshName() + Math.random()));
  const hash = createHash("sha256");
  for (let n = 0; n < mebibytes; n++) hash.update(data);
  const digest = `sha256:${hash.digest("hex")}`;
  const ref = freshName(), total = mebibytes * pieceBytes;
  const begin = performance.now();
  async function* requests() {
    for (let n = 0; n < mebibytes; n++) {
      yield WriteContentRequest.fromPartial({ action: WriteAction.WRITE, ref, total, offset: n * pieceBytes, data });
    }
    const labels = { "containerd.io/gc.root": "bench" };
    yield WriteContentRequest.fromPartial({
      action: WriteAction.COMMIT,
      ref,
      total,
      offset: total,
      expected: digest,
      labels,
    });
  }
  for await (const { action } of content.write(requests())) if (action === WriteAction.COMMIT) break;
  return { ms: performance.now() - begin, digest };
}

/** Reads a blob; gives milliseconds. */
export async function readContent(side: Side, digest: string): Promise<number> {
  const begin = performance.now();
  let bytes = 0;
  for await (const { data } of side.channel.client(ContentDefinition).read({ digest, offset: 0, size: 0 })) {
    bytes += data.length;
  }
  if (bytes === 0) throw new Error(`${digest} is empty`);
  return performance.now() - begin;
}

/** Removes a blob, and what was kept only for it. */
export async function dropContent(side: Side, digest: string): Promise<void> {
  await side.channel.client(ContentDefinition).delete({ digest });
}

/** Makes so many images for {@link listImages}. */
export async function fillImages(side: Side, count: number): Promise<void> {
  const images = side.channel.client(ImagesDefinition);
  await perOperation(count, 64, (n) => {
    const labels = { team: `t${n % 100}`, "io.cri-containerd.image": "managed" };
    return images.create(createRequest(image(`registry.test/list/image-${n}:latest`, labels)));
  });
}

/** Lists the images of one team among all; milliseconds. */
export async function listImages(side: Side, expected: number): Promise<number> {
  const begin = performance.now();
  const { images } = await side.channel.client(ImagesDefinition).list({ filters: ["labels.team==t7"] });
  if (images.length !== expected) throw new Error(`${images.length} images were listed, expected ${expected}`);
  return performance.now() - begin;
}

/** Publishes events that subscribers all get; microseconds for each event to reach all. */
export async function fanOut(side: Side, events: number, subscribers: number): Promise<number> {
  const stop = new AbortController();
  const channels = Array.from({ length: subscribers }, () => side.connect());
  const topic = `/bench/${freshName()}`;
  const arrived = channels.map(async (channel) => {
    let left = events + 1;
    const filters = [`topic==${JSON.stringify(topic)}`];
    for await (const _ of channel.client(EventsDefinition).subscribe({ filters }, { signal: stop.signal })) {
      if (--left === 0) return;
    }
  });
  // Subscriptions have no acknowledgement: the first event may be missed by none that was there before.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const client = side.channel.client(EventsDefinition);
  const event = { typeUrl: "containerd.events.TaskStart", value: new Uint8Array([10, 2, 105, 100]) };
  await client.publish({ topic, event });
  const begin = performance.now();
  await perOperation(events, 16, () => client.publish({ topic, event }));
  await Promise.all(arrived);
  const us = (performance.now() - begin) * 1000 / events;
  stop.abort();
  for (const channel of channels) channel.close();
  return us;
}
