/**
 * The id maps of user namespaces (user_namespaces(7)).
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { IdMapping } from "../../api/oci/runtime_spec.ts";

/** Writes the maps of the process's namespace, once and for ever. Throws `InvalidArgument` where the kernel refuses. */
export function writeIdMaps(pid: number, uids: readonly IdMapping[], gids: readonly IdMapping[]): void {
  for (const [file, mappings] of [["uid_map", uids], ["gid_map", gids]] as const) {
    const text = mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
    try {
      Deno.writeTextFileSync(`/proc/${pid}/${file}`, text, { create: false, append: true });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : cause;
      throw new Failure("InvalidArgument", `cannot map ids: ${file} "${text.trim().replaceAll("\n", ", ")}": ${why}`, {
        cause,
      });
    }
  }
}
