import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { CommitQueue, type Transactions } from "./commit_queue.ts";
import { Database } from "./database.ts";

async function withDatabase(body: (db: Database) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-queue-" });
  try {
    using db = await Database.open(`${dir}/meta.db`);
    await body(db);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const add = (db: Database, name: string) => db.run("INSERT INTO namespaces VALUES (?)", name);
const names = (db: Database) =>
  db.all<{ name: string }>("SELECT name FROM namespaces ORDER BY name").map(({ name }) => name);

/** A clock that stands still: what shares a commit does not depend on how busy the machine is. */
const stopped = () => 0;

/** Transactions that always succeed, and how many mutations each had. */
function counting(onMutation: () => void = () => {}): { transactions: Transactions; sizes: number[] } {
  const sizes: number[] = [];
  const transactions: Transactions = {
    atomically: (_durable, body) => {
      sizes.push(0);
      body();
    },
    separately: (body) => {
      sizes[sizes.length - 1]!++;
      onMutation();
      return body();
    },
    isBusy: () => false,
    makeRoom: () => false,
    roomWasUsed: () => {},
  };
  return { transactions, sizes };
}

Deno.test("CommitQueue commits mutations of one turn together", async () => {
  const { transactions, sizes } = counting();
  const queue = new CommitQueue(transactions, 1000, stopped);
  await Promise.all(Array.from({ length: 100 }, (_, n) => queue.run(() => n, { durable: true })));
  assert.deepEqual(sizes, [100]);
});

Deno.test("CommitQueue ends a batch after 10 ms, and the rest is the next one's", async () => {
  let now = 0;
  const { transactions, sizes } = counting(() => now += 4);
  const queue = new CommitQueue(transactions, 1000, () => now);
  const run = (n: number) => queue.run(() => n, { durable: true });
  assert.deepEqual(await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(run)), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(sizes, [3, 3, 2]);
});

Deno.test("Database.transaction() performs mutations of one turn in their order", () =>
  withDatabase(async (db) => {
    const order: number[] = [];
    await Promise.all(Array.from({ length: 100 }, (_, index) =>
      db.transaction(() => {
        order.push(index);
        add(db, `n${index}`);
      })));
    assert.deepEqual(order, Array.from({ length: 100 }, (_, index) => index));
    assert.equal(names(db).length, 100);
  }));

Deno.test("Database.transaction() takes back the body that throws and keeps its neighbours", () =>
  withDatabase(async (db) => {
    const undone: string[] = [];
    const results = await Promise.allSettled(["a", "bad", "b"].map((name) =>
      db.transaction((undo) => {
        add(db, name);
        undo.push(() => undone.push(name));
        if (name === "bad") throw new Failure("InvalidArgument", "bad");
      })
    ));
    assert.deepEqual(results.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
    assert.deepEqual(names(db), ["a", "b"]);
    assert.deepEqual(undone, ["bad"]);
  }));

Deno.test("Database.transaction() leaves out a mutation whose signal was aborted before its turn", () =>
  withDatabase(async (db) => {
    const controller = new AbortController();
    const first = db.transaction(() => add(db, "a"));
    const second = db.transaction(() => add(db, "b"), { signal: controller.signal });
    controller.abort(new Failure("Canceled", "gone"));
    await first;
    await assert.rejects(second, /gone/);
    assert.deepEqual(names(db), ["a"]);
  }));

Deno.test("CommitQueue takes back every mutation, last first, where the commit fails", async () => {
  const undone: number[] = [];
  const failing: Transactions = {
    atomically: (_durable, body) => {
      body();
      throw new Error("disk full");
    },
    separately: (body) => body(),
    isBusy: () => false,
    makeRoom: () => false,
    roomWasUsed: () => {},
  };
  const queue = new CommitQueue(failing, 1000, stopped);
  const results = await Promise.allSettled([1, 2, 3].map((n) =>
    queue.run((undo) => {
      undo.push(() => undone.push(n));
    }, { durable: true })
  ));
  assert.ok(results.every((result) => result.status === "rejected" && /disk full/.test(String(result.reason))));
  assert.deepEqual(undone, [3, 2, 1]);
});

Deno.test("CommitQueue tries again while another process is in the way, until the deadline", async () => {
  const busy = new Error("busy");
  let left = 3;
  const transactions: Transactions = {
    atomically: (_durable, body) => {
      if (left-- > 0) throw busy;
      body();
    },
    separately: (body) => body(),
    isBusy: (error) => error === busy,
    makeRoom: () => false,
    roomWasUsed: () => {},
  };
  const queue = new CommitQueue(transactions, 1000);
  const run = (n: number) => queue.run(() => n, { durable: true });
  assert.deepEqual(await Promise.all([run(1), run(2)]), [1, 2]);
  left = 1_000_000;
  const impatient = new CommitQueue(transactions, 20);
  await assert.rejects(impatient.run(() => 1, { durable: true }), busy);
});
