/**
 * Images for tests of `barge run`: a busybox, and a Debian of several layers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { barge, execute, type ExecuteOptions, type Finished, Running, succeed, systemTest } from "./command.ts";
import { makeRootfs } from "./bundle.ts";
import { debianSource } from "./debian_source.ts";
import { tarOf, writeLayout } from "./registry.ts";
import { makeScratch, type Scratch } from "./scratch.ts";

/** The host's architecture as images call it. */
export const architecture = Deno.build.arch === "x86_64" ? "amd64" : "arm64";

/** `barge run` with a root and a state directory of its own. */
export class BargeRun {
  constructor(readonly scratch: Scratch) {}

  /** Directory of the store. */
  get root(): string {
    return `${this.scratch.path}/root`;
  }

  /** Directory of states. */
  get state(): string {
    return `${this.scratch.path}/state`;
  }

  /** The words of a command line; the container's name is the test's own, so that its cgroups can be told from others'. */
  command(suffix: string, ...args: string[]): string[] {
    return [...barge, "run", "--root", this.root, "--state", this.state, "--name", this.scratch.id(suffix), ...args];
  }

  /** Runs to the end. */
  async execute(args: string[], options: ExecuteOptions = {}): Promise<Finished> {
    return await execute(this.command("c", ...args), options);
  }

  /** Runs what must end with 0; gives its output. */
  async succeed(args: string[], options: ExecuteOptions = {}): Promise<string> {
    return await succeed(this.command("c", ...args), options);
  }

  /** Starts. */
  spawn(args: string[], options: ConstructorParameters<typeof Running>[1] = {}): Running {
    return new Running(this.command("c", ...args), options);
  }

  /** Names of files below the store that come and go with containers: snapshots, leases, ingests, trash. */
  async storeFiles(): Promise<string[]> {
    const script = "cd \"$1\" && find . -path './*/fs/*' -prune -o -print | grep -v -e meta.db- | sort";
    return (await succeed(["sh", "-c", script, "sh", this.root])).trim().split("\n");
  }

  /** Files below the state directory, but its fixed directories. */
  async stateFiles(): Promise<string[]> {
    const { stdout } = await execute([
      "sh",
      "-c",
      'cd "$1" 2>/dev/null && find . -mindepth 2 | sort',
      "sh",
      this.state,
    ]);
    return stdout.trim().split("\n").filter((line) => line !== "");
  }
}

/** Writes `LAYOUT` with the tag `latest`: busybox, `CMD sh`, some variables. */
export async function writeBusyboxLayout(layout: string, scratch: Scratch): Promise<void> {
  const tree = await Deno.makeTempDir({ dir: scratch.path, prefix: "tree" });
  await Deno.chmod(tree, 0o755);
  await makeRootfs(tree);
  await Deno.chmod(`${tree}/tmp`, 0o1777);
  await writeLayout(layout, [await tarOf(tree)], {
    architectures: [architecture],
    run: { Env: ["PATH=/bin", "FROM_IMAGE=yes"], Cmd: ["sh", "-c", "echo default command"], WorkingDir: "/root" },
  });
  await Deno.remove(tree, { recursive: true });
}

/**
 * Path of an uncompressed tar archive with a minimal Debian. It is made once by debootstrap and kept in the user's cache
 * directory; undefined where that is not possible (no network).
 */
export async function debianArchive(): Promise<string | undefined> {
  const cache = `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/root"}/.cache`}/barge-tests`;
  const archive = `${cache}/debian-minbase.tar`;
  if (await Deno.stat(archive).then(() => true, () => false)) return archive;
  await Deno.mkdir(cache, { recursive: true });
  const source = await debianSource();
  if (source === undefined) return undefined;
  const tree = await Deno.makeTempDir({ dir: cache, prefix: "debootstrap" });
  try {
    const made = await execute(["debootstrap", "--variant=minbase", source.suite, tree, source.mirror], {
      timeoutMs: 300_000,
    });
    if (made.code !== 0) return undefined;
    const temporary = `${archive}.${Deno.pid}`;
    await succeed(["tar", "-C", tree, "--sort=name", "--numeric-owner", "--xattrs", "-cf", temporary, "."]);
    await Deno.rename(temporary, archive);
    return archive;
  } finally {
    await Deno.remove(tree, { recursive: true });
  }
}

/** Changes of the second layer of {@link writeDebianLayout}, made in the unpacked first one. */
const secondLayer = `
rm -r usr/share/doc/bash usr/share/zoneinfo var/cache/apt
rm -r etc/apt
rm etc/motd && mkdir etc/motd && echo in > etc/motd/file
ln usr/bin/bash usr/bin/bash-again
ln usr/bin/perl usr/local/perl-again
chmod 2750 var/mail && chown 7:8 etc/hostname
echo more >> etc/os-release
ln -sfn /nowhere usr/local/dangling
mkfifo var/fifo
setfattr -n user.colour -v blue etc/fstab || true
`;

/** Changes of the third one. */
const thirdLayer = `
rm usr/bin/bash-again && mkdir etc/apt && echo back > etc/apt/sources.list
rm -r etc/motd
mkdir -p opt/new/deep && echo new > opt/new/deep/file && ln opt/new/deep/file opt/new/link
rm -rf usr/share/man && mkdir usr/share/man && touch usr/share/man/only
`;

/** Writes a layout with a Debian of three layers with whiteouts and hard links, made by umoci; tag `latest`. */
export async function writeDebianLayout(layout: string, archive: string, scratch: Scratch): Promise<void> {
  await succeed(["umoci", "init", "--layout", layout]);
  await succeed(["umoci", "new", "--image", `${layout}:latest`]);
  await succeed(["umoci", "raw", "add-layer", "--image", `${layout}:latest`, archive]);
  for (const changes of [secondLayer, thirdLayer]) {
    const bundle = await Deno.makeTempDir({ dir: scratch.path, prefix: "umoci" });
    await succeed(["umoci", "unpack", "--image", `${layout}:latest`, `${bundle}/b`]);
    await succeed(["sh", "-ec", changes], { cwd: `${bundle}/b/rootfs` });
    await succeed(["umoci", "repack", "--image", `${layout}:latest`, `${bundle}/b`]);
    await Deno.remove(bundle, { recursive: true });
  }
  await succeed([
    ...["umoci", "config", "--image", `${layout}:latest`, "--config.cmd", "bash"],
    ...["--config.env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
  ]);
}

/** Prints one line for each file with all that it has; hard links are told by their first name. */
const scanner = `
import hashlib, os, stat, sys
root = os.fsencode(sys.argv[1])
first, lines = {}, []
for top, dirs, files in os.walk(root):
    for name in sorted(dirs + files):
        path = os.path.join(top, name)
        rel = os.path.relpath(path, root)
        st = os.lstat(path)
        info = [oct(st.st_mode), st.st_uid, st.st_gid]
        if not stat.S_ISDIR(st.st_mode): info.append(st.st_mtime_ns // 10**9)
        if stat.S_ISREG(st.st_mode):
            with open(path, 'rb') as file: info += [st.st_size, hashlib.sha256(file.read()).hexdigest()]
            if st.st_nlink > 1: info.append(first.setdefault((st.st_dev, st.st_ino), []))
            if st.st_nlink > 1: first[st.st_dev, st.st_ino].append(rel)
        if stat.S_ISLNK(st.st_mode): info.append(os.readlink(path))
        if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode): info.append(st.st_rdev)
        for key in sorted(os.listxattr(path, follow_symlinks=False)):
            if key.startswith('trusted.overlay') or key == 'user.rootlesscontainers': continue
            info.append((key, os.getxattr(path, key, follow_symlinks=False)))
        lines.append((rel, info))
for group in first.values(): group.sort()
for rel, info in sorted(lines): print(rel, info)
`;

/** Describes every file below a directory, a line each. */
export async function scanTree(directory: string): Promise<string[]> {
  const text = await succeed(["python3", "-c", scanner, directory], { timeoutMs: 120_000 });
  return text.trimEnd().split("\n");
}

/** Throws with the first differences of two scans. */
export function assertSameTrees(actual: readonly string[], expected: readonly string[]): void {
  const [ours, theirs] = [new Set(actual), new Set(expected)];
  const differences = [
    ...actual.filter((line) => !theirs.has(line)).map((line) => `only here:  ${line}`),
    ...expected.filter((line) => !ours.has(line)).map((line) => `only there: ${line}`),
  ];
  assert.deepEqual(differences.slice(0, 20), []);
  assert(actual.length > 10, "an empty tree proves nothing");
}

/**
 * A test of `barge run` with a busybox image (`image` names it). Afterwards nothing may be left on the host, and no file
 * of a container in the store or the state directory.
 */
export function runTest(
  name: string,
  programs: readonly string[],
  body: (run: BargeRun, image: string, scratch: Scratch) => Promise<void>,
): void {
  systemTest(name, ["busybox", "tar", ...programs], async () => {
    await using scratch = await makeScratch();
    const run = new BargeRun(scratch);
    const layout = `${scratch.path}/busybox`;
    await writeBusyboxLayout(layout, scratch);
    await body(run, `oci:${layout}:latest`, scratch);
    await scratch.assertNothingLeft();
    assert.deepEqual(await run.stateFiles(), []);
  });
}
