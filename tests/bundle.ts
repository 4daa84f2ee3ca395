/**
 * Bundles with busybox as their root file system, and the OCI runtimes that run them.
 *
 * @module
 */
import type { Spec } from "../api/oci/runtime_spec.ts";
import { listContainers } from "../shim/oci/container_state.ts";
import { barge, execute, type ExecuteOptions, type Finished, Running, succeed, systemTest } from "./command.ts";
import { makeScratch, type Scratch } from "./scratch.ts";
import { patient } from "./patience.ts";

/** An OCI runtime with a state root of its own. */
export class Runtime {
  readonly #command: readonly string[];

  constructor(readonly name: "barge" | "runc", readonly stateRoot: string) {
    this.#command = [...(name === "barge" ? [...barge, "oci"] : ["runc"]), "--root", stateRoot];
  }

  /** The words of a command line. */
  command(...args: string[]): string[] {
    return [...this.#command, ...args];
  }

  /** Runs a command to its end. */
  async execute(args: string[], options: ExecuteOptions = {}): Promise<Finished> {
    return await execute(this.command(...args), options);
  }

  /** Runs a command that must succeed. */
  async succeed(args: string[], options: ExecuteOptions = {}): Promise<string> {
    return await succeed(this.command(...args), options);
  }

  /** Starts a command. */
  spawn(args: string[], options: ConstructorParameters<typeof Running>[1] = {}): Running {
    return new Running(this.command(...args), options);
  }

  /**
   * Runs a command that leaves a container behind, which inherits its streams: standard input is /dev/null, the two
   * outputs go to the file.
   */
  async detached(output: string, args: string[]): Promise<Finished> {
    const script = 'out=$1; shift; exec "$@" </dev/null >"$out" 2>&1';
    const { code } = await execute(["sh", "-c", script, "sh", output, ...this.command(...args)]);
    const text = await Deno.readTextFile(output);
    return { code, stdout: text, stderr: text };
  }

  /** The state, or undefined where there is no such container. */
  async state(id: string): Promise<{ status: string; pid: number } | undefined> {
    const { code, stdout } = await this.execute(["state", id]);
    return code === 0 ? JSON.parse(stdout) : undefined;
  }

  /** Waits for a status. Throws after 10 s. */
  async reaches(id: string, status: string): Promise<void> {
    for (let waitedMs = 0; (await this.state(id))?.status !== status; waitedMs += 50) {
      if (waitedMs > patient(10_000)) throw new Error(`${id} does not become ${status}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Puts a busybox with all its names into a root file system. */
export async function makeRootfs(directory: string): Promise<void> {
  for (const name of ["bin", "etc", "tmp", "root"]) await Deno.mkdir(`${directory}/${name}`, { recursive: true });
  await Deno.copyFile("/usr/bin/busybox", `${directory}/bin/busybox`);
  for (const name of (await succeed(["busybox", "--list"])).trim().split("\n")) {
    if (name !== "busybox") await Deno.symlink("busybox", `${directory}/bin/${name}`);
  }
  await Deno.writeTextFile(
    `${directory}/etc/passwd`,
    "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/tmp:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n",
  );
  await Deno.writeTextFile(`${directory}/etc/group`, "root:x:0:\ndaemon:x:1:\nstaff:x:50:alice\nalice:x:1000:\n");
}

/** What tests change in a spec; all of it is there after `spec` has written it. */
export type FullSpec = Required<Pick<Spec, "process" | "root" | "mounts" | "linux">> & Spec;

/** A bundle in a test's directory, with the spec that the runtime itself writes. */
export class Bundle {
  constructor(readonly runtime: Runtime, readonly path: string, readonly scratch: Scratch) {}

  /** Path of the root file system. */
  get rootfs(): string {
    return `${this.path}/rootfs`;
  }

  /** Changes config.json. */
  async edit(change: (spec: FullSpec) => void): Promise<void> {
    const path = `${this.path}/config.json`;
    // Written by the runtime's own `spec` command.
    const spec = JSON.parse(await Deno.readTextFile(path)) as FullSpec;
    change(spec);
    await Deno.writeTextFile(path, JSON.stringify(spec));
  }

  /** Sets the command of the container's first process. */
  async command(...args: string[]): Promise<void> {
    await this.edit((spec) => spec.process.args = args);
  }

  /** Runs the shell text in the foreground. */
  async run(script: string, options: ExecuteOptions = {}): Promise<Finished> {
    await this.command("sh", "-c", script);
    return await this.runtime.execute(["run", "--bundle", this.path, this.scratch.id("c")], options);
  }
}

/** A new bundle: no terminal, a writable root. */
export async function makeBundle(runtime: Runtime, scratch: Scratch): Promise<Bundle> {
  const path = `${scratch.path}/bundle`;
  await Deno.mkdir(path);
  await makeRootfs(`${path}/rootfs`);
  await runtime.succeed(["spec", "--bundle", path]);
  const bundle = new Bundle(runtime, path, scratch);
  await bundle.edit((spec) => {
    spec.process.terminal = false;
    spec.root.readonly = false;
    spec.linux.cgroupsPath = `/${scratch.id("c")}`;
  });
  return bundle;
}

/**
 * One test for barge and the same for runc: a test that runc fails is a wrong test. Afterwards nothing may be left on
 * the host, and no state.
 */
export function runtimeTest(
  name: string,
  body: (bundle: Bundle, runtime: Runtime, scratch: Scratch) => Promise<void>,
  options: { only?: "barge"; programs?: string[] } = {},
): void {
  for (const runtimeName of ["barge", "runc"] as const) {
    if (options.only !== undefined && options.only !== runtimeName) continue;
    const programs = ["busybox", ...(runtimeName === "runc" ? ["runc"] : []), ...(options.programs ?? [])];
    systemTest(`${runtimeName} ${name}`, programs, async () => {
      await using scratch = await makeScratch();
      const runtime = new Runtime(runtimeName, `${scratch.path}/state`);
      const bundle = await makeBundle(runtime, scratch);
      await body(bundle, runtime, scratch);
      await scratch.assertNothingLeft();
      const states = listContainers(runtime.stateRoot);
      if (states.length > 0) throw new Error(`states are left: ${states.join(", ")}`);
    });
  }
}
