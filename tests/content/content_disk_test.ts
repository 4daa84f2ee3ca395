import { equal, ok, rejects } from "node:assert/strict";
import { type Code, isFailure } from "../../api/errors.ts";
import { ContentDefinition, WriteAction } from "../../api/gen/services/content/v1/content.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import { ContentService } from "../../daemon/services/content.ts";
import { ownStores } from "../../daemon/store.ts";
import { succeed, systemTest } from "../command.ts";
import { makeScratch } from "../scratch.ts";
import { bytesOf, type ContentClient, digestOf, type PartialWrite, WriteStream } from "./content_client.ts";

const { STAT, WRITE, COMMIT } = WriteAction;

/** Runs the body with the service on a disk of 6 MiB, at a path that it is told. */
async function onSmallDisk(body: (client: ContentClient, path: string) => Promise<void>): Promise<void> {
  await using scratch = await makeScratch();
  const path = `${scratch.path}/disk`;
  await Deno.mkdir(path);
  await succeed(["mount", "-t", "tmpfs", "-o", "size=6m", "barge-test", path]);
  try {
    using stores = await ownStores(path);
    const service = new ContentService({ stores, events: { publish: () => {} } });
    await body(inProcess(ContentDefinition, service, { "containerd-namespace": "ns" }), path);
  } finally {
    await succeed(["umount", path]);
  }
}

async function say(client: ContentClient, request: PartialWrite) {
  await using stream = new WriteStream(client);
  return await stream.say(request);
}

function fails(promise: Promise<unknown>, code: Code, text: RegExp): Promise<void> {
  return rejects(promise, (error) => isFailure(error, code) && text.test(error.message));
}

const text = async (client: ContentClient, digest: string) =>
  (await Array.fromAsync(client.read({ digest, offset: 0, size: 0 })))
    .map(({ data }) => new TextDecoder().decode(data)).join("");

systemTest(
  "ContentService says that the disk is full, keeps what there is room for, and goes on when there is more",
  ["mount", "umount"],
  () =>
    onSmallDisk(async (client) => {
      const before = digestOf(bytesOf("before"));
      await say(client, { action: COMMIT, ref: "before", data: bytesOf("before") });
      const data = new Uint8Array(12 << 20).map((_, index) => index >> 10);
      await fails(say(client, { action: WRITE, ref: "big", data }), "ResourceExhausted", /no space left on the disk/);
      const { status } = await client.status({ ref: "big" });
      ok(status !== undefined && status.offset > 1 << 20 && status.offset < 6 << 20, `${status?.offset} bytes`);
      equal(await text(client, before), "before");
      await client.abort({ ref: "big" });
      await say(client, { action: COMMIT, ref: "after", data: bytesOf("after") });
      equal(await text(client, digestOf(bytesOf("after"))), "after");
    }),
);

systemTest(
  "ContentService on a disk that becomes read-only reads on and refuses to write",
  ["mount", "umount"],
  () =>
    onSmallDisk(async (client, path) => {
      const digest = digestOf(bytesOf("there"));
      await say(client, { action: COMMIT, ref: "there", data: bytesOf("there") });
      await using open = new WriteStream(client);
      await open.say({ action: WRITE, ref: "open", data: bytesOf("open") });
      open.leave();
      // A disk with files that are open for writing cannot be made read-only, but the way to it can.
      await succeed(["mount", "--bind", path, path]);
      await succeed(["mount", "-o", "remount,bind,ro", path]);
      const readOnly = /read-only/;
      await fails(say(client, { action: STAT, ref: "new" }), "FailedPrecondition", readOnly);
      await fails(client.delete({ digest }), "FailedPrecondition", readOnly);
      equal(await text(client, digest), "there");
      equal((await client.info({ digest })).info?.size, 5);
      await succeed(["umount", path]);
      equal((await say(client, { action: STAT, ref: "open" }))?.offset, 4);
    }),
);
