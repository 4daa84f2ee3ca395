/**
 * The modes that memory file systems take over from the directories that they cover.
 *
 * @module
 */
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { attempt } from "../../ffi/syscall.ts";
import type { RootSource } from "./plan/facts.ts";
import { cleanPath } from "./plan/paths.ts";

/**
 * Destination (behind links, see `linkedDestinations`) → mode of the directory that the root file system has there, for
 * each mount of a tmpfs that names no mode (runc `mountToRootfs`). What the image does not have is left out.
 */
export function coveredModes(
  { mounts }: Spec,
  root: RootSource,
  destinations: ReadonlyMap<string, string>,
): Map<string, number> {
  const modes = new Map<string, number>();
  for (const { destination, type, options } of mounts ?? []) {
    if (type !== "tmpfs" || options?.some((option) => option.startsWith("mode=") || /^r?bind$/.test(option))) continue;
    const target = destinations.get(destination) ?? cleanPath(destination);
    const mode = modeIn(root, target);
    if (mode !== undefined) modes.set(target, mode);
  }
  return modes;
}

/** Of an overlay the topmost layer counts that has the directory. */
function modeIn(root: RootSource, target: string): number | undefined {
  const layers = root.kind === "directory"
    ? [root.path]
    : [...root.upper === undefined ? [] : [root.upper], ...root.lower].map((layer) => `${root.base}/${layer}`);
  for (const layer of layers) {
    const mode = modeBelow(layer, target);
    if (mode !== undefined) return mode;
  }
  return undefined;
}

function modeBelow(layer: string, target: string): number | undefined {
  const how = new BigUint64Array([
    BigInt(flags("O_PATH", "O_DIRECTORY", "O_CLOEXEC")),
    0n,
    BigInt(flags("RESOLVE_IN_ROOT", "RESOLVE_NO_MAGICLINKS")),
  ]);
  using directory = openFile(layer, flags("O_PATH", "O_DIRECTORY"));
  const opened = attempt("openat2", directory.number, target, how, 24);
  // Whatever it is, it is no directory that could be covered.
  if (opened < 0) return undefined;
  using found = new Descriptor(opened);
  return (Deno.statSync(`/proc/self/fd/${found.number}`).mode ?? 0o755) & 0o7777;
}
