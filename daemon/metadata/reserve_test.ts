import assert from "node:assert/strict";
import { Database } from "./database.ts";
import { CommitQueue, type Transactions } from "./commit_queue.ts";
import { Reserve } from "./reserve.ts";

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "barge-reserve-" });
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("Reserve holds blocks, gives them back in parts, and takes them again", () =>
  inDirectory(async (directory) => {
    const reserve = new Reserve(`${directory}/reserve`);
    assert.equal(reserve.spend(), false, "there is none yet");
    assert(reserve.refill());
    const whole = await Deno.stat(reserve.path);
    assert(whole.size > 0 && whole.blocks! * 512 >= whole.size, `${whole.blocks} blocks of ${whole.size} bytes`);
    let parts = 0;
    while (reserve.spend()) parts++;
    assert(parts >= 2, `${parts} parts`);
    assert.equal((await Deno.stat(reserve.path)).blocks, 0);
    assert(reserve.refill());
    assert.equal((await Deno.stat(reserve.path)).size, whole.size);
  }));

Deno.test("Database makes a reserve for whoever owns it and with a new store", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/meta.db`;
    (await Database.open(path)).close();
    const { size } = await Deno.stat(`${directory}/reserve`);
    await Deno.remove(`${directory}/reserve`);
    (await Database.open(path, undefined, "owner")).close();
    assert.equal((await Deno.stat(`${directory}/reserve`)).size, size);
  }));

/** A disk without room, where room can be made so often, and is then there for one commit. */
function fullDisk(rooms: number): Transactions & { readonly log: string[] } {
  const full = Object.assign(new Error("database or disk is full"), { code: "ERR_SQLITE_ERROR" });
  const log: string[] = [];
  let hasRoom = false;
  return {
    log,
    atomically: (_, body) => {
      body();
      if (!hasRoom) throw full;
    },
    separately: (body) => body(),
    isBusy: () => false,
    makeRoom: (error) => {
      assert.equal(String(error), String(full));
      log.push("room");
      return hasRoom = rooms-- > 0;
    },
    roomWasUsed: () => {
      log.push("used");
      hasRoom = false;
    },
  };
}

Deno.test("CommitQueue makes room on a full disk for deletions, and for nothing else", async () => {
  const disk = fullDisk(1);
  const queue = new CommitQueue(disk, 1000);
  const run = (name: string, frees: boolean) =>
    queue.run(() => {
      disk.log.push(name);
      return name;
    }, { durable: true, frees });
  const outcomes = await Promise.allSettled([run("make", false), run("delete", true), run("make again", false)]);
  assert.deepEqual(outcomes.map(({ status }) => status), ["rejected", "fulfilled", "rejected"]);
  assert.deepEqual(disk.log, ["make", "delete", "make again", "room", "delete", "used"]);
  await assert.rejects(run("delete more", true), /disk is full/);
});

Deno.test("CommitQueue gives up a deletion for which there is never room enough", async () => {
  let tries = 0;
  const disk = fullDisk(Infinity);
  const queue = new CommitQueue(disk, 1000);
  const failing = queue.run(() => {
    tries++;
    throw Object.assign(new Error("database or disk is full"), { code: "ERR_SQLITE_ERROR" });
  }, { durable: true, frees: true });
  await assert.rejects(failing, /disk is full/);
  assert(tries < 20, `${tries} tries`);
});
