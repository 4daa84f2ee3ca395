/** Adoption of a stock containerd's objects, and what a barge daemon does on its root without it. */
import assert from "node:assert/strict";
import { barge, execute, succeed, systemTest } from "../command.ts";
import { removeAll, startDaemon, type TestDaemon } from "../daemon/daemon_fixture.ts";
import { architecture, writeBusyboxLayout } from "../images.ts";
import { startRegistry, tarOf, writeLayout } from "../registry.ts";
import { makeScratch } from "../scratch.ts";

const peers = ["busybox", "tar", "containerd", "ctr", "skopeo", "docker-registry"];
// Nothing that a test has made without a name is collected before it is adopted.
const config = '[plugins."io.containerd.gc.v1.scheduler"]\npause_threshold = 0.00001\n';

/** Fills a stock daemon with some of everything; gives the image's name. */
async function fill(stock: TestDaemon, registry: string): Promise<string> {
  const image = `${registry}/app:1`;
  const snapshots = ["snapshots"], native = ["snapshots", "--snapshotter", "native"];
  await stock.ask("images", "pull", "--plain-http", image);
  await stock.ask("images", "pull", "--plain-http", "--snapshotter", "native", `${registry}/two:1`);
  await stock.ask("images", "pull", "--plain-http", `${registry}/two:1`);
  await stock.ask("images", "label", image, "colour=blue");
  await stock.ask("namespaces", "create", "other", "a=b");
  await stock.ask("-n", "other", "images", "pull", "--plain-http", image);
  await stock.ask("containers", "create", "--label", "k=v", image, "c1", "sh");
  await stock.ask("leases", "create", "--id", "l1", "x=y");
  await stock.ask(...snapshots, "prepare", "work");
  const [, path] = /upperdir=([^,]+)|-o .*? (\S+)/.exec(await stock.ask(...snapshots, "mounts", "/t", "work")) ?? [];
  const source = path ?? (await stock.ask(...snapshots, "mounts", "/t", "work")).split(" ")[3]!;
  await Deno.writeTextFile(`${source}/written`, "kept\n");
  await stock.ask(...snapshots, "commit", "done", "work");
  await stock.ask(...snapshots, "label", "done", "containerd.io/gc.root=1");
  await stock.ask(...snapshots, "prepare", "upper", "done");
  await stock.ask(...snapshots, "view", "seen", "done");
  // Prepare gives this label, view does not: the next collection would take it.
  await stock.ask(...snapshots, "label", "seen", "containerd.io/gc.root=1");
  await stock.ask(...native, "prepare", "loose");
  return image;
}

/** What clients see, without what a daemon's own numbers are. */
async function look(daemon: TestDaemon, image: string): Promise<Record<string, string>> {
  const seen: Record<string, string> = {};
  for (
    const command of [
      ["namespaces", "ls"],
      ["images", "ls"],
      ["images", "check"],
      ["content", "ls"],
      ["leases", "ls"],
      ["containers", "ls"],
      ["containers", "info", "c1"],
      ["snapshots", "ls"],
      ["snapshots", "tree"],
      ["snapshots", "info", "done"],
      ["snapshots", "mounts", "/target", "upper"],
      ["snapshots", "mounts", "/target", "c1"],
      ["snapshots", "--snapshotter", "native", "ls"],
      ["snapshots", "--snapshotter", "native", "mounts", "/target", "loose"],
      ["-n", "other", "images", "ls"],
      ["-n", "other", "content", "ls"],
      ["-n", "other", "snapshots", "ls"],
      ["images", "ls", "-q", `name==${image}`],
    ]
  ) {
    const text = await daemon.ask(...command);
    // Labels come in no order, options of mounts as containerd 2.x has them, and ages grow.
    const words = (line: string) => line.split(/[\s,]+/).sort().join(" ");
    const plain = text.replace(/\b(\d+|About an?|Less than a) (second|minute)s?\b/g, "AGE")
      // Our times are of milliseconds.
      .replace(/(:\d\d)(\.\d+)?Z/g, (_, second, part = "") => `${second}${part.padEnd(4, "0").slice(0, 4)}Z`);
    seen[command.join(" ")] = plain.split("\n").map(words).sort().join(
      "\n",
    );
  }
  return seen;
}

async function withStock(body: (place: string, stock: TestDaemon, image: string, scratch: string) => Promise<void>) {
  await using scratch = await makeScratch();
  await using registry = await startRegistry();
  await writeBusyboxLayout(`${scratch.path}/layout`, scratch);
  await registry.push(`oci:${scratch.path}/layout:latest`, "app:1");
  await Deno.mkdir(`${scratch.path}/tree`);
  const layers: Uint8Array[] = [];
  for (const name of ["first", "second", "third"]) {
    await Deno.writeTextFile(`${scratch.path}/tree/${name}`, `${name}\n`);
    layers.push(await tarOf(`${scratch.path}/tree`));
  }
  await writeLayout(`${scratch.path}/two`, layers, { architectures: [architecture] });
  await registry.push(`oci:${scratch.path}/two:latest`, "two:1");
  const place = await Deno.makeTempDir({ prefix: "barge-adopt-" });
  try {
    await using stock = await startDaemon({ kind: "stock", directory: place, config });
    const image = await fill(stock, registry.host);
    await body(place, stock, image, scratch.path);
  } finally {
    await removeAll(place);
  }
}

const adopt = (daemon: TestDaemon, ...args: string[]) => execute([...barge, "adopt", "-a", daemon.address, ...args]);

systemTest(
  "barge adopt takes over what a stock containerd shows, and its files",
  peers,
  () =>
    withStock(async (place, stock, image) => {
      const expected = await look(stock, image);
      const dry = await adopt(stock, "--dry-run", "--json");
      assert.equal(dry.code, 0, dry.stderr);
      const first = await adopt(stock, "--json");
      assert.equal(first.code, 0, first.stderr);
      assert.deepEqual(JSON.parse(first.stdout).namespaces, JSON.parse(dry.stdout).namespaces);
      // Again, with what has changed meanwhile.
      await stock.ask("images", "label", image, "colour=red");
      await stock.ask("snapshots", "commit", "done-2", "upper");
      await stock.ask("snapshots", "prepare", "upper", "done-2");
      const second = await adopt(stock);
      assert.equal(second.code, 0, second.stderr);
      const last = await look(stock, image);
      assert.notDeepEqual(last, expected);
      await stock.stop();
      await using ours = await startDaemon({ directory: place, config });
      assert.deepEqual(await look(ours, image), last);
      // What stock kept is kept, nothing is fetched again, and what was adopted works on.
      const pulled = await ours.ask("images", "pull", "--plain-http", image);
      assert.doesNotMatch(pulled, /downloading|extracting/);
      await ours.ask("leases", "create", "--id", "l2");
      await ours.ask("leases", "rm", "--sync", "l2");
      assert.deepEqual((await look(ours, image))["images check"], last["images check"]);
      assert.match(await ours.ask("snapshots", "usage", "done"), /done\s+\S/);
      const doctor = await execute([...barge, "doctor", "--root", ours.root, "--hash"]);
      assert.deepEqual([doctor.code, doctor.stdout], [0, `${ours.root}: nothing is wrong\n`]);
      // Removed, an adopted snapshot takes its directory along.
      const [, directory] = /upperdir=([^,]+)\/fs/.exec(await ours.ask("snapshots", "mounts", "/t", "upper"))!;
      await ours.ask("snapshots", "rm", "upper");
      await ours.ask("leases", "create", "--id", "l3");
      await ours.ask("leases", "rm", "--sync", "l3");
      await assert.rejects(Deno.stat(directory!), Deno.errors.NotFound);
    }),
);

systemTest(
  "barge daemon on a stock root leaves every file of it alone, also when it collects",
  peers,
  () =>
    withStock(async (place, stock, image) => {
      await stock.stop();
      const files = () =>
        succeed([
          ...["find", `${place}/root`, "-not", "-path", "*/io.barge.*", "-path", "*/io.containerd.*/*", "-type", "f"],
          ...["-printf", "%P %s %i\\n"],
        ]);
      const before = (await files()).split("\n").sort();
      await using ours = await startDaemon({ directory: place, config });
      assert.equal((await ours.ask("images", "ls", "-q")).trim(), "");
      await ours.ask("snapshots", "prepare", "mine");
      await ours.ask("snapshots", "rm", "mine");
      await ours.ask("leases", "create", "--id", "l2");
      await ours.ask("leases", "rm", "--sync", "l2");
      const after = new Set((await files()).split("\n"));
      assert.deepEqual(before.filter((line) => !after.has(line)), []);
      assert.ok(before.length > 20, image);
    }),
);

systemTest("barge adopt says what it cannot do", ["containerd"], async () => {
  const none = await execute([...barge, "adopt", "-a", "/run/no/such.sock"]);
  assert.deepEqual([none.code, none.stdout], [1, ""]);
  assert.match(none.stderr, /^barge adopt: no containerd answers at "\/run\/no\/such.sock"/);
  await using ours = await startDaemon();
  const own = await execute([...barge, "adopt", "-a", ours.address]);
  assert.equal(own.code, 1);
  assert.match(own.stderr, /^barge adopt: use root ".*": a daemon of barge runs on it/);
});
