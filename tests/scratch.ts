/**
 * A directory and a name for one test, and everything of the host that belongs to them.
 *
 * Tests run at the same time as others, also as themselves: what they look for on the host is found by their own
 * directory (mounts, command lines) and their own name (cgroups), never by "everything that is there".
 *
 * @module
 */
import assert from "node:assert/strict";
import { execute } from "./command.ts";
import { patient } from "./patience.ts";

/** Made by {@link makeScratch}. */
export class Scratch implements AsyncDisposable {
  /**
   * @param path the directory
   * @param name unique; ids of containers are to begin with it
   */
  constructor(readonly path: string, readonly name: string) {}

  /** An id for a container. */
  id(suffix: string): string {
    return `${this.name}-${suffix}`;
  }

  /** Mount points of the host below the directory, the deepest first. */
  mounts(): string[] {
    return Deno.readTextFileSync("/proc/self/mountinfo").split("\n")
      .map((line) => line.split(" ")[4] ?? "")
      .filter((path) => path.startsWith(`${this.path}/`))
      .reverse();
  }

  /** Directories of cgroups with the name in theirs, the deepest first. */
  cgroups(): string[] {
    const found: string[] = [];
    const look = (directory: string, depth: number) => {
      for (const { name, isDirectory, isSymlink } of entries(directory)) {
        if (!isDirectory || isSymlink) continue;
        const path = `${directory}/${name}`;
        if (depth < 4) look(path, depth + 1);
        if (path.includes(this.name)) found.push(path);
      }
    };
    look("/sys/fs/cgroup", 0);
    return found;
  }

  /** Processes that are in such a cgroup, or whose command line names the directory; zombies do not count. */
  processes(): number[] {
    return [...entries("/proc")].map(({ name }) => Number(name)).filter((pid) => {
      if (!(pid > 0) || pid === Deno.pid) return false;
      const text = readText(`/proc/${pid}/cgroup`) + readText(`/proc/${pid}/cmdline`);
      if (!text.includes(this.name) && !text.includes(this.path)) return false;
      return !/^State:\s*[ZX]/m.test(readText(`/proc/${pid}/status`)) && readText(`/proc/${pid}/status`) !== "";
    });
  }

  /** What there is of the test on the host, outside of its directory. */
  leftovers(): string[] {
    return [
      ...this.mounts().map((path) => `mount ${path}`),
      ...this.cgroups().map((path) => `cgroup ${path}`),
      ...this.processes().map((pid) => `process ${pid} ${readText(`/proc/${pid}/cmdline`).replaceAll("\0", " ")}`),
    ];
  }

  /** Throws where something is left on the host. What is about to end gets a moment. */
  async assertNothingLeft(context = ""): Promise<void> {
    for (let waitedMs = 0; waitedMs < patient(5000) && this.leftovers().length > 0; waitedMs += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.deepEqual(this.leftovers(), [], context);
  }

  /** Ends and removes everything, also after a test that failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let tries = 0; tries < 50 && this.leftovers().length > 0; tries++) {
      for (const path of this.cgroups()) {
        // A paused process ends only when it is thawed.
        for (const [file, value] of [["freezer.state", "THAWED"], ["cgroup.freeze", "0"]] as const) {
          try {
            Deno.writeTextFileSync(`${path}/${file}`, value, { create: false });
          } catch {
            // Another version's file.
          }
        }
      }
      for (const pid of this.processes()) {
        try {
          Deno.kill(pid, "SIGKILL");
        } catch {
          // Gone.
        }
      }
      for (const path of this.mounts()) await execute(["umount", "-l", path]);
      await new Promise((resolve) => setTimeout(resolve, 20));
      for (const path of this.cgroups()) {
        try {
          Deno.removeSync(path);
        } catch {
          // Still in use: another round.
        }
      }
    }
    // What a container has made may be deeper than Deno's own removal survives.
    await execute(["rm", "-rf", "--one-file-system", this.path], { timeoutMs: 300_000 });
  }
}

/** Makes the directory, open to every user as containers' users must reach what lies in it. */
export async function makeScratch(): Promise<Scratch> {
  const path = await Deno.makeTempDir({ prefix: "barge-system-" });
  await Deno.chmod(path, 0o755);
  return new Scratch(path, `bt${path.slice(path.lastIndexOf("-") + 1)}`);
}

/** Numbers by a seed that is printed, so that a failure can be had again: set BARGE_SEED to it. */
export function randomNumbers(name: string): () => number {
  const given = Deno.env.get("BARGE_SEED");
  const seed = given === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : Number(given);
  console.log(`${name}: BARGE_SEED=${seed}`);
  return seededNumbers(seed);
}

/** The same numbers from 0 to 1 for the same seed. */
export function seededNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    // mulberry32: good enough to choose moments.
    state = state + 0x6d2b79f5 | 0;
    let mixed = Math.imul(state ^ state >>> 15, 1 | state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

function* entries(directory: string): Iterable<Deno.DirEntry> {
  try {
    yield* Deno.readDirSync(directory);
  } catch {
    // Gone between two looks.
  }
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
