import assert from "node:assert/strict";
import { Failure } from "../api/errors.ts";
import { ownRoot, stockDatabase, visitRoot } from "./root_lock.ts";

async function inRoot(body: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await body(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

function refusal(text: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof Failure && error.code === "FailedPrecondition" && text.test(error.message);
}

Deno.test("visitRoot() lets guests in together, and ownRoot() nobody beside the owner", () =>
  inRoot(async (root) => {
    {
      using _first = visitRoot(root, root);
      using _second = visitRoot(root, root);
      await assert.rejects(ownRoot(root, root), refusal(/one-shot runs are using it/));
    }
    using _owner = await ownRoot(root, root);
    await assert.rejects(ownRoot(root, root), refusal(new RegExp(`a daemon of barge runs on it .process ${Deno.pid}`)));
    assert.throws(() => visitRoot(root, root), refusal(/ask the daemon by its socket/));
  }));

Deno.test("ownRoot() waits for a former owner that ends in time", () =>
  inRoot(async (root) => {
    const former = await ownRoot(root, root);
    const timer = setTimeout(() => former.release(), 50);
    using _owner = await ownRoot(root, root, { waitMs: 5000 });
    clearTimeout(timer);
  }));

Deno.test("ownRoot() gives up waiting with the signal's reason", () =>
  inRoot(async (root) => {
    using _former = await ownRoot(root, root);
    const signal = AbortSignal.timeout(30);
    await assert.rejects(ownRoot(root, root, { waitMs: 60_000, signal }), (error) => error === signal.reason);
  }));

Deno.test("ownRoot() refuses a root whose stock database is locked, and locks an idle one", () =>
  inRoot(async (root) => {
    const path = `${root}/${stockDatabase}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")));
    using stock = await Deno.open(path, { create: true, read: true, write: true });
    assert(stock.tryLockSync(true));
    await assert.rejects(ownRoot(root, root), refusal(/a stock containerd runs on it/));
    stock.unlockSync();
    using _owner = await ownRoot(root, root);
    assert.equal(stock.tryLockSync(true), false);
  }));

Deno.test("RootLock ends with a killed owner, whose process id is not named any more", () =>
  inRoot(async (root) => {
    const program = `import { ownRoot } from ${JSON.stringify(new URL("./root_lock.ts", import.meta.url).href)};
      await ownRoot(${JSON.stringify(root)}, ${JSON.stringify(root)});
      console.log("owned");
      await new Promise(() => setInterval(() => {}, 1000));`;
    const owner = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-config", "--ext=ts", program],
      stdout: "piped",
      stdin: "null",
    }).spawn();
    const reader = owner.stdout.getReader();
    await reader.read();
    await assert.rejects(ownRoot(root, root), refusal(new RegExp(`process ${owner.pid}`)));
    owner.kill("SIGKILL");
    await owner.status;
    await reader.cancel();
    {
      using _owner = await ownRoot(root, root);
    }
    using _guest = visitRoot(root, root);
    await assert.rejects(ownRoot(root, root), refusal(/one-shot runs/));
  }));
