/**
 * Stock containerd with barge's shim, as it is installed, in PATH.
 *
 * @module
 */
import { systemTest } from "../command.ts";
import { linkShims } from "../installed.ts";
import { startTaskBench, type TaskBench } from "../tasks/task_fixture.ts";
import { patient } from "../patience.ts";

/** The runtime's name, for `--runtime`. */
export const runtime = "io.containerd.ts.v2";

/** Both names that the shim is found by here. */
const names = ["containerd-shim-ts-v2", "containerd-shim-runc-v2"];

/**
 * A test with stock containerd, whose shims are barge's, with these variables in its environment. Afterwards nothing may
 * be left: no process, mount, bundle or cgroup.
 */
export function shimTest(
  name: string,
  programs: readonly string[],
  env: Readonly<Record<string, string>>,
  body: (bench: TaskBench) => Promise<void>,
): void {
  systemTest(name, ["containerd", "ctr", "skopeo", "busybox", "tar", ...programs], async () => {
    const bin = await Deno.makeTempDir({ prefix: "barge-shim-" });
    await linkShims(bin, names);
    try {
      await using bench = await startTaskBench({
        kind: "stock",
        env: { ...env, PATH: `${bin}:${Deno.env.get("PATH")}` },
      });
      await body(bench);
      await bench.assertNothingLeft();
    } finally {
      await Deno.remove(bin, { recursive: true });
    }
  });
}

/** Text of a file in a container's bundle. */
export function bundleFile({ daemon, namespace }: TaskBench, id: string, file: string): string {
  return Deno.readTextFileSync(`${daemon.state}/io.containerd.runtime.v2.task/${namespace}/${id}/${file}`);
}

/** Path of the socket of a container's shim. */
export function socketOf(bench: TaskBench, id: string): string {
  return bundleFile(bench, id, "address").replace(/^unix:\/\//, "");
}

/** Whether there is such a file. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Waits until a file is gone: containerd forgets a task a little before its shim has tidied up. Throws after 5 s. */
export async function gone(path: string): Promise<void> {
  for (let waitedMs = 0; exists(path); waitedMs += 50) {
    if (waitedMs >= patient(5000)) throw new Error(`${path} is still there`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
