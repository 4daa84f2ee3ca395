/**
 * Gathers what a plan must know of this host.
 *
 * @module
 */
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { hostArch } from "../../ffi/arch.ts";
import type { CgroupPlace, Facts, Limit, RootSource } from "./plan/facts.ts";
import { cleanPath } from "./plan/paths.ts";
import type { CompiledFilter } from "./seccomp/compile.ts";
import { readInRoot } from "./read_in_root.ts";
import { resolveInRoot } from "./resolve_in_root.ts";

/** What is known already. */
export interface KnownFacts {
  spec: Spec;
  id: string;
  bundle: string;
  root: RootSource;
  cgroups: readonly CgroupPlace[];
  filter?: CompiledFilter | undefined;
  openFiles?: Limit | undefined;
  start: "fifo" | "at once";
  dieWithParent: boolean;
}

/** Reads the rest. Never throws for what is missing: the plan says what it needs. */
export function gatherFacts(known: KnownFacts): Facts {
  const { spec, id, bundle, root, cgroups, start, dieWithParent, openFiles, filter } = known;
  return {
    id,
    bundle,
    root,
    cgroups,
    start,
    dieWithParent,
    ...(filter === undefined ? {} : { filter }),
    arch: hostArch,
    sources: bindSources(spec, bundle),
    destinations: linkedDestinations(spec, root),
    ignoredSignals: ignoredSignals(),
    ...(openFiles === undefined ? {} : { openFiles }),
    lastCapability: lastCapability(),
    passwd: passwdOf(spec, known.root),
  };
}

/** What the sources of the spec's bind mounts are; those that do not exist are left out. */
export function bindSources(spec: Spec, bundle: string): Map<string, "directory" | "file"> {
  const sources = new Map<string, "directory" | "file">();
  for (const { source, options } of spec.mounts ?? []) {
    if (!source || !options?.some((option) => option === "bind" || option === "rbind")) continue;
    const path = source.startsWith("/") ? source : `${bundle}/${source}`;
    try {
      sources.set(path, Deno.statSync(path).isDirectory ? "directory" : "file");
    } catch {
      // The plan refuses the mount by name.
    }
  }
  return sources;
}

/**
 * The destinations of mounts that lead through links, with where they end. Of a root that exists in the container only,
 * nothing is known here: there a link must lead to something that exists.
 */
export function linkedDestinations(spec: Spec, root: RootSource): Map<string, string> {
  const destinations = new Map<string, string>();
  if (root.kind !== "directory") return destinations;
  for (const { destination } of spec.mounts ?? []) {
    const end = resolveInRoot(root.path, destination);
    if (end !== cleanPath(destination)) destinations.set(destination, end);
  }
  return destinations;
}

/** The signals that this process ignores (SigIgn of `/proc/self/status`). Deno itself ignores SIGPIPE. */
export function ignoredSignals(): number[] {
  const hex = /^SigIgn:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1] ?? "0";
  const mask = BigInt(`0x${hex}`);
  const signals: number[] = [];
  for (let signal = 1; signal <= 64; signal++) {
    if (mask >> BigInt(signal - 1) & 1n) signals.push(signal);
  }
  return signals;
}

/** Number of the kernel's last capability. */
export function lastCapability(): number {
  return Number(Deno.readTextFileSync("/proc/sys/kernel/cap_last_cap"));
}

/** The container's /etc/passwd where HOME is to be looked up in it. */
function passwdOf(spec: Spec, root: RootSource): string {
  if (spec.process?.env?.some((entry) => entry.startsWith("HOME=") && entry.length > 5)) return "";
  if (root.kind !== "directory") return "";
  return readInRoot(root.path, "etc/passwd") ?? "";
}
