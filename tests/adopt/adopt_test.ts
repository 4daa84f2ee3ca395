/** Adoption of a stock containerd's objects, and what a barge daemon does on its root without it. */
import assert from "node:assert/strict";
import { Failure, isFailure } from "../../api/errors.ts";
import { StockDaemon } from "../../daemon/adopt/stock_daemon.ts";
import { barge, execute, succeed, systemTest } from "../command.ts";
import { removeAll, startDaemon, type TestDaemon } from "../daemon/daemon_fixture.ts";
import { architecture, writeBusyboxLayout } from "../images.ts";
import { startRegistry, tarOf, writeLayout } from "../registry.ts";
import { makeScratch } from "../scratch.ts";

const peers = ["busybox", "tar", "containerd", "ctr", "skopeo", "docker-registry"];
// Nothing that a test has made without a name is collected before it is adopted.
const config = '[plugins."io.containerd.gc.v1.scheduler"]\npause_threshold = 0.00001\nstartup_delay = "1h"\n';

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
  await stock.ask(...snapshots, "view", "nothing");
  await stock.ask(...snapshots, "label", "nothing", "containerd.io/gc.root=1");
  await stock.ask(...snapshots, "prepare", "again", "done");
  await stock.ask(...native, "prepare", "loose");
  await stock.ask(...native, "prepare", "base");
  await stock.ask(...native, "commit", "based", "base");
  await stock.ask(...native, "label", "based", "containerd.io/gc.root=1");
  await stock.ask(...native, "view", "glance", "based");
  await stock.ask(...native, "label", "glance", "containerd.io/gc.root=1");
  await stock.ask("containers", "create", "--label", "k=old", image, "c2", "sh");
  return image;
}

/** Changes it: what has gone and come again under its old name, and what its daemon collects meanwhile. */
async function change(stock: TestDaemon, image: string): Promise<void> {
  await stock.ask("images", "label", image, "colour=red");
  await stock.ask("snapshots", "commit", "done-2", "upper");
  await stock.ask("snapshots", "label", "done-2", "containerd.io/gc.root=1");
  await stock.ask("snapshots", "prepare", "upper", "done-2");
  await stock.ask("snapshots", "rm", "again");
  await stock.ask("snapshots", "prepare", "again", "done-2");
  await stock.ask("snapshots", "label", "seen", "colour=red");
  await stock.ask("containers", "rm", "c2");
  await stock.ask("containers", "create", "--label", "k=new", image, "c2", "sh");
  await collect(stock);
}

/** Has the daemon collect its garbage. */
async function collect(daemon: TestDaemon): Promise<void> {
  await daemon.ask("leases", "create", "--id", "passing");
  await daemon.ask("leases", "rm", "--sync", "passing");
}

async function digestOf(daemon: TestDaemon, image: string): Promise<string> {
  return /sha256:\w+/.exec(await daemon.ask("images", "ls", `name==${image}`))![0];
}

const blobPath = ({ root }: TestDaemon, digest: string) =>
  `${root}/io.containerd.content.v1.content/blobs/${digest.replace(":", "/")}`;

/** Mounts a snapshot as the daemon says, and gives a file of it. */
async function readMounted(daemon: TestDaemon, key: string, file: string): Promise<string> {
  const target = await Deno.makeTempDir({ prefix: "barge-adopt-mount-" });
  try {
    await succeed(["sh", "-ec", await daemon.ask("snapshots", "mounts", target, key)]);
    try {
      return await Deno.readTextFile(`${target}/${file}`);
    } finally {
      await succeed(["umount", target]);
    }
  } finally {
    await Deno.remove(target);
  }
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
      ["containers", "info", "c2"],
      ["snapshots", "ls"],
      ["snapshots", "tree"],
      ["snapshots", "info", "done"],
      ["snapshots", "info", "upper"],
      ["snapshots", "info", "seen"],
      ["snapshots", "info", "c1"],
      ["snapshots", "mounts", "/target", "upper"],
      ["snapshots", "mounts", "/target", "c1"],
      ["snapshots", "mounts", "/target", "seen"],
      ["snapshots", "mounts", "/target", "nothing"],
      ["snapshots", "--snapshotter", "native", "ls"],
      ["snapshots", "--snapshotter", "native", "mounts", "/target", "loose"],
      ["snapshots", "--snapshotter", "native", "mounts", "/target", "glance"],
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
      // Our times are of microseconds.
      .replace(/(:\d\d)(\.\d+)?Z/g, (_, second, part = ".") => `${second}${part.padEnd(7, "0").slice(0, 7)}Z`);
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
      assert.deepEqual((await Array.fromAsync(Deno.readDir(stock.root))).filter(({ name }) => /barge/.test(name)), []);
      const first = await adopt(stock, "--json");
      assert.equal(first.code, 0, first.stderr);
      const { namespaces } = JSON.parse(first.stdout);
      assert.deepEqual(namespaces, JSON.parse(dry.stdout).namespaces);
      assert.deepEqual(namespaces.map(({ namespace, kept }: Record<string, unknown>) => [namespace, kept]), [
        ["default", 0],
        ["other", 0],
      ]);
      // The views that it has made to learn of directories are gone.
      assert.deepEqual(await look(stock, image), expected);
      await change(stock, image);
      const second = await adopt(stock);
      assert.equal(second.code, 0, second.stderr);
      await collect(stock);
      const last = await look(stock, image);
      assert.notDeepEqual(last, expected);
      await stock.stop();
      await using ours = await startDaemon({ directory: place, config });
      assert.deepEqual(await look(ours, image), last);
      for (const key of ["upper", "seen", "again"]) assert.equal(await readMounted(ours, key, "written"), "kept\n");
      assert.notEqual(await readMounted(ours, "c1", "bin/busybox"), "");
      // What stock kept is kept, nothing is fetched again, and what was adopted works on.
      const pulled = await ours.ask("images", "pull", "--plain-http", image);
      assert.doesNotMatch(pulled, /downloading|extracting/);
      await collect(ours);
      // The pull has touched the image.
      const untouched = (seen: Record<string, string>) => ({ ...seen, "images ls": "", "content ls": "" });
      assert.deepEqual(untouched(await look(ours, image)), untouched(last));
      assert.match(await ours.ask("snapshots", "usage", "done"), /done\s+\S/);
      const doctor = await execute([...barge, "doctor", "--root", ours.root, "--hash"]);
      assert.deepEqual([doctor.code, doctor.stdout], [0, `${ours.root}: nothing is wrong\n`]);
      // Removed, an adopted snapshot takes its directory along.
      const [, directory] = /upperdir=([^,]+)\/fs/.exec(await ours.ask("snapshots", "mounts", "/t", "upper"))!;
      await ours.ask("snapshots", "rm", "upper");
      for (const view of ["seen", "nothing"]) await ours.ask("snapshots", "rm", view);
      await collect(ours);
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
          ...["find", `${place}/root`, "-not", "-path", "*/io.barge.*", "-path", "*/io.containerd.*/*", "("],
          ...["-type", "f", "-printf", "%P %s %i %m %T@\\n", "-o", "-printf", "%P %i %m\\n", ")"],
        ]);
      const before = (await files()).split("\n").sort();
      await using ours = await startDaemon({ directory: place, config });
      assert.equal((await ours.ask("images", "ls", "-q")).trim(), "");
      await ours.ask("snapshots", "prepare", "mine");
      await ours.ask("snapshots", "rm", "mine");
      await collect(ours);
      // Blobs that lie there serve, and stay when ours are gone.
      await ours.ask("images", "pull", "--plain-http", image);
      const { ino } = await Deno.stat(blobPath(ours, await digestOf(ours, image)));
      await ours.ask("images", "rm", "--sync", image);
      assert.equal((await ours.ask("content", "ls", "-q")).trim(), "");
      assert.ok(before.some((line) => line.includes(` ${ino} `)));
      const after = new Set((await files()).split("\n"));
      assert.deepEqual(before.filter((line) => !after.has(line)), []);
      assert.ok(before.length > 20, image);
    }),
);

systemTest(
  "barge adopt of one namespace leaves the files of blobs that others may have, and of all makes them ours",
  peers,
  () =>
    withStock(async (place, stock, image) => {
      const path = blobPath(stock, await digestOf(stock, image));
      const removeAt = async (namespace: string) => {
        await using ours = await startDaemon({ directory: place, config });
        await ours.ask("-n", namespace, "images", "rm", "--sync", image);
        await ours.stop();
      };
      assert.equal((await adopt(stock, "--namespace", "other")).code, 0);
      await stock.stop();
      await removeAt("other");
      await Deno.stat(path);
      await using again = await startDaemon({ kind: "stock", directory: place, config });
      // Our daemon has removed what stood on them.
      // The command's own form.
      const all = JSON.parse((await adopt(again, "--json")).stdout).namespaces as { failures: { kind: string }[] }[];
      assert.deepEqual(new Set(all.flatMap(({ failures }) => failures.map(({ kind }) => kind))), new Set(["snapshot"]));
      await again.ask("containers", "rm", "c1", "c2");
      await again.stop();
      await removeAt("default");
      await Deno.stat(path);
      await removeAt("other");
      await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
    }),
);

systemTest(
  "barge adopt leaves what a barge daemon has changed since",
  peers,
  () =>
    withStock(async (place, stock, image) => {
      assert.equal((await adopt(stock)).code, 0);
      await stock.stop();
      const ours = await startDaemon({ directory: place, config });
      await ours.ask("images", "label", image, "colour=green");
      await ours.ask("snapshots", "commit", "ours", "again");
      await ours.ask("snapshots", "label", "ours", "containerd.io/gc.root=1");
      await ours.ask("images", "tag", image, "example.com/ours:1");
      const before = { ...await look(ours, image), tree: await ours.ask("snapshots", "tree") };
      await ours.stop();
      await using again = await startDaemon({ kind: "stock", directory: place, config });
      const third = await adopt(again, "--json");
      assert.match(
        third.stderr,
        /^barge adopt: snapshot "overlayfs\/again" in namespace "default": its directory is that of snapshot "ours" here\n$/,
      );
      assert.equal(third.code, 1);
      assert.equal(JSON.parse(third.stdout).namespaces[0].kept, 1);
      await again.stop();
      await using last = await startDaemon({ directory: place, config });
      assert.deepEqual({ ...await look(last, image), tree: await last.ask("snapshots", "tree") }, before);
    }),
);

systemTest(
  "barge adopt names what it cannot take over, and takes the rest",
  peers,
  () =>
    withStock(async (place, stock) => {
      const config = (await stock.ask("content", "ls")).split("\n").find((line) =>
        line.includes("gc.ref.snapshot.native")
      );
      const digest = config!.split(/\s/)[0]!;
      await Deno.remove(`${place}/root/io.containerd.content.v1.content/blobs/${digest.replace(":", "/")}`);
      const [, directory] = /upperdir=([^,]+)\/fs/.exec(await stock.ask("snapshots", "mounts", "/t", "again"))!;
      await Deno.remove(directory!, { recursive: true });
      const { code, stdout, stderr } = await adopt(stock, "--namespace", "default", "--json");
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`content "${digest}" in namespace "default": its file is missing`));
      assert.match(
        stderr,
        /snapshot "overlayfs\/again" in namespace "default": there is no directory ".*\/snapshots\/\d+"/,
      );
      const { namespaces: [found, ...others] } = JSON.parse(stdout);
      assert.deepEqual(others, []);
      assert.deepEqual(found.failures.map(({ kind }: { kind: string }) => kind), ["content", "snapshot"]);
      const counted = await adopt(stock, "--namespace", "default", "--dry-run", "--json");
      assert.equal(counted.code, 1);
      const { namespaces: [trial] } = JSON.parse(counted.stdout);
      // A trial does not look for directories.
      assert.deepEqual(trial, { ...found, snapshot: found.snapshot + 1, failures: found.failures.slice(0, 1) });
      assert.deepEqual([found.image, found.container, found.lease], [2, 2, 1]);
    }),
);

systemTest(
  "StockDaemon.views() leaves nothing in the daemon, also when it is interrupted",
  ["containerd", "ctr"],
  async () => {
    await using daemon = await startDaemon({ kind: "stock" });
    await daemon.ask("snapshots", "prepare", "work");
    await daemon.ask("snapshots", "commit", "base", "work");
    await daemon.ask("snapshots", "label", "base", "containerd.io/gc.root=1");
    const before = [await daemon.ask("snapshots", "ls"), await daemon.ask("leases", "ls")];
    const interruption = new AbortController();
    using stock = new StockDaemon(daemon.address, interruption.signal);
    {
      await using views = await stock.views("default");
      assert.match((await views.mountsOn("overlayfs", "base"))[0]!.source, /\/snapshots\/\d+\/fs$/);
      assert.match(await daemon.ask("leases", "ls"), new RegExp(views.lease));
      await assert.rejects(views.mountsOn("overlayfs", "missing"), (error) => isFailure(error, "NotFound"));
      const interrupted = views.mountsOn("overlayfs", "base");
      interruption.abort(new Failure("Canceled", "enough"));
      await assert.rejects(interrupted, (error) => isFailure(error, "Canceled"));
    }
    await collect(daemon);
    assert.deepEqual([await daemon.ask("snapshots", "ls"), await daemon.ask("leases", "ls")], before);
  },
);

systemTest("barge adopt says what it cannot do", ["containerd"], async () => {
  const none = await execute([...barge, "adopt", "-a", "/run/no/such.sock"]);
  assert.deepEqual([none.code, none.stdout], [1, ""]);
  assert.match(none.stderr, /^barge adopt: no containerd answers at "\/run\/no\/such.sock"/);
  await using stock = await startDaemon({ kind: "stock" });
  for (const flag of [[], ["--dry-run"]]) {
    const wrong = await adopt(stock, "--root", `${stock.directory}/elsewhere`, ...flag);
    assert.deepEqual([wrong.code, wrong.stdout], [1, ""]);
    assert.match(wrong.stderr, /^barge adopt: ".*\/elsewhere" is not the root of a stock containerd: it has no "io/);
    const nobody = await adopt(stock, "--namespace", "nobody", ...flag);
    assert.deepEqual([nobody.code, nobody.stderr], [1, 'barge adopt: the daemon has no namespace "nobody"\n']);
  }
  await assert.rejects(Deno.stat(`${stock.directory}/elsewhere`), Deno.errors.NotFound);
  await using ours = await startDaemon();
  const own = await execute([...barge, "adopt", "-a", ours.address]);
  assert.equal(own.code, 1);
  assert.match(own.stderr, /^barge adopt: use root ".*": a daemon of barge runs on it/);
});
