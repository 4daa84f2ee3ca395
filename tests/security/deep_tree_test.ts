/**
 * Directories in each other without end: what a container has made must not keep anybody from working.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startDaemon } from "../daemon/daemon_fixture.ts";
import { barge, execute, succeed, systemTest } from "../command.ts";
import { BargeRun } from "../images.ts";
import { tarOf, writeLayout } from "../registry.ts";
import { makeScratch, type Scratch } from "../scratch.ts";

/** What Deno's own removal of trees does not survive, by far. */
const depth = 30_000;
const digging = `for (1 .. ${depth}) { mkdir "d" or die "mkdir: $!"; chdir "d" or die "chdir: $!" } print "dug\\n"`;
const patience = { timeoutMs: 300_000 };

/** An image with nothing but the host's perl and its libraries: a shell would start 30,000 programs. */
async function writePerlLayout(layout: string, scratch: Scratch): Promise<void> {
  const tree = await Deno.makeTempDir({ dir: scratch.path, prefix: "perl" });
  const libraries = (await succeed(["ldd", "/usr/bin/perl"])).match(/\/\S+/g) ?? [];
  for (const file of ["/usr/bin/perl", ...libraries]) {
    await Deno.mkdir(`${tree}${file.slice(0, file.lastIndexOf("/"))}`, { recursive: true });
    await Deno.copyFile(file, `${tree}${file}`);
  }
  await Deno.mkdir(`${tree}/deep`);
  await writeLayout(layout, [await tarOf(tree)], { run: { Env: ["PATH=/usr/bin"], Cmd: ["perl"] } });
  await Deno.remove(tree, { recursive: true });
}

const trashOf = (root: string) => [...Deno.readDirSync(`${root}/trash`)].map(({ name }) => name);

async function until(what: string, test: () => boolean): Promise<void> {
  for (const end = Date.now() + patience.timeoutMs; !test();) {
    assert(Date.now() < end, `waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

systemTest(`barge run removes ${depth} directories in each other, also those of a killed run`, ["perl"], async () => {
  await using scratch = await makeScratch();
  const run = new BargeRun(scratch);
  const layout = `${scratch.path}/perl`;
  await writePerlLayout(layout, scratch);
  const dig = ["--quiet", `oci:${layout}:latest`, "perl", "-e", `chdir "/deep"; ${digging}`];
  assert.equal(await run.succeed(dig, patience), "dug\n");
  assert.deepEqual(trashOf(run.root), []);

  // The next run finds what a killed one has left.
  const killed = run.spawn([...dig.slice(0, -1), `chdir "/deep"; $| = 1; ${digging}; sleep 600`], patience);
  await killed.says("dug");
  killed.child.kill("SIGKILL");
  await killed.finished;
  assert.equal(await run.succeed(["--quiet", `oci:${layout}:latest`, "perl", "-e", "print 1"], patience), "1");
  assert.deepEqual(trashOf(run.root), []);
  await scratch.assertNothingLeft();
});

for (const snapshotter of ["overlayfs", "native"]) {
  systemTest(
    `the daemon measures, compares and removes ${depth} directories in each other (${snapshotter}), and starts on them`,
    ["perl", "containerd"],
    async () => {
      await using scratch = await makeScratch();
      const layout = `${scratch.path}/perl`;
      await writePerlLayout(layout, scratch);
      await succeed(["tar", "-C", layout, "-cf", `${layout}.tar`, "."]);
      await using daemon = await startDaemon({ directory: scratch.path });
      const ask = async (...words: string[]) => await succeed(["ctr", "--address", daemon.address, ...words], patience);
      await ask("images", "import", "--snapshotter", snapshotter, "--base-name", "perl", `${layout}.tar`);
      const image = (await ask("images", "ls", "-q")).trim().split("\n")[0]!;
      const id = scratch.id("deep");
      const dug = await ask(
        ...["run", "--snapshotter", snapshotter, image, id],
        ...["perl", "-e", `chdir "/deep"; ${digging}`],
      );
      assert.equal(dug, "dug\n");
      const usage = await ask("snapshots", "--snapshotter", snapshotter, "usage", id);
      assert.match(usage, new RegExp(`^${id}\\s`, "m"), usage);
      // No layer can hold such a path, and that is all that happens.
      const diff = await execute([
        "ctr",
        "--address",
        daemon.address,
        "snapshots",
        "--snapshotter",
        snapshotter,
        "diff",
        id,
      ], patience);
      assert.notEqual(diff.code, 0);
      assert.match(diff.stderr, /longer than 4,?095 bytes/);
      await ask("containers", "rm", id);
      // A daemon that dies on it would die again at each start.
      const next = await daemon.restart("SIGKILL");
      try {
        await next.ask("images", "ls");
        await until("the trash is empty", () => trashOf(next.root).length === 0);
        const snapshots = `${next.root}/io.containerd.snapshotter.v1.${snapshotter}/snapshots`;
        await until("the snapshot is gone", () => [...Deno.readDirSync(snapshots)].length === 1);
        assert.match(await next.ask("version"), /Server/);
      } finally {
        await next.stop();
      }
      await succeed([...barge, "doctor", "--root", daemon.root], patience);
    },
  );
}
