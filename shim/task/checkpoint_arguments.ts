/**
 * A request for a checkpoint as arguments of `runc checkpoint`.
 *
 * @module
 */
import type { CheckpointOptions } from "../../api/gen/types/runc/options/oci.ts";

/** The arguments before the container's id. `work` is where criu keeps its logs. */
export function checkpointArguments(path: string, work: string, options: CheckpointOptions): string[] {
  const switches: [boolean, string][] = [
    [options.openTcp, "--tcp-established"],
    [options.externalUnixSockets, "--ext-unix-sk"],
    [options.terminal, "--shell-job"],
    [options.fileLocks, "--file-locks"],
    [!options.exit, "--leave-running"],
  ];
  return [
    ...["--image-path", options.imagePath === "" ? path : options.imagePath, "--work-path", work],
    ...switches.filter(([on]) => on).map(([, name]) => name),
    ...options.emptyNamespaces.flatMap((name) => ["--empty-ns", name]),
    ...(options.cgroupsMode === "" ? [] : ["--manage-cgroups-mode", options.cgroupsMode]),
  ];
}
