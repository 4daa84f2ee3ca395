/**
 * The suite on one runtime: what its cases share, and which of them are held against the runtime.
 *
 * @module
 */
import { Scratch } from "../scratch.ts";
import { succeed } from "../command.ts";
import type { Case, FullSpec } from "./case.ts";
import type { RuntimeUnderTest, Suite } from "./perform.ts";

/** Prepares a suite below the scratch directory, with the spec that the runtime itself writes. */
export async function makeSuite(scratch: Scratch, runtime: RuntimeUnderTest): Promise<Suite> {
  const directory = `${scratch.path}/spec-${runtime.name}`;
  await Deno.mkdir(directory);
  await succeed([...runtime.command, "spec"], { cwd: directory });
  // Written by the runtime's own `spec` command.
  const spec = JSON.parse(await Deno.readTextFile(`${directory}/config.json`)) as FullSpec;
  spec.process.terminal = false;
  spec.root.readonly = false;
  if (!await Deno.stat(`${scratch.path}/busybox`).then(() => true, () => false)) {
    await Deno.copyFile("/bin/busybox", `${scratch.path}/busybox`);
  }
  return { scratch, runtime, spec };
}

/** Why the case is not held against the runtime on this machine; undefined where it is. */
export function reasonAgainst({ except, needs }: Case, { name }: RuntimeUnderTest): string | undefined {
  if (needs === "cgroup v1" && !hasVersion1()) return "no cgroups of version 1";
  return except?.[name];
}

function hasVersion1(): boolean {
  try {
    return Deno.statSync("/sys/fs/cgroup/memory").isDirectory;
  } catch {
    return false;
  }
}
