/**
 * The id maps of user namespaces (user_namespaces(7)).
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { IdMapping } from "../../api/oci/runtime_spec.ts";
import { findProgram } from "../find_program.ts";
import { isOrdinaryUser } from "./ordinary_user.ts";
import { callersVariables } from "../../ffi/launch.ts";

type MapFile = "uid_map" | "gid_map";

/** The programs that write maps which an ordinary user may not, by what the administrator grants him (subuid(5)). */
const tools: Readonly<Record<MapFile, string>> = { uid_map: "newuidmap", gid_map: "newgidmap" };

/**
 * Writes the maps of the process's namespace, once and for ever. What an ordinary user may not write himself is left to
 * `newuidmap` and `newgidmap`. Throws `InvalidArgument` where the kernel or those refuse.
 */
export async function writeIdMaps(
  pid: number,
  uids: readonly IdMapping[],
  gids: readonly IdMapping[],
): Promise<void> {
  for (const [file, mappings] of [["uid_map", uids], ["gid_map", gids]] as const) {
    if (isOrdinaryUser() && !isOwn(file, mappings)) await callTool(file, pid, mappings);
    else write(file, pid, mappings);
  }
}

/** Whether it is the one id that everybody may map: his own. */
function isOwn(file: MapFile, mappings: readonly IdMapping[]): boolean {
  const own = file === "uid_map" ? Deno.uid() : Deno.gid();
  return mappings.length === 1 && mappings[0]?.size === 1 && mappings[0].hostID === own;
}

function write(file: MapFile, pid: number, mappings: readonly IdMapping[]): void {
  const text = mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
  try {
    // Nobody may drop a group by a namespace of his own, since groups can shut out as well.
    if (file === "gid_map" && isOrdinaryUser()) Deno.writeTextFileSync(`/proc/${pid}/setgroups`, "deny");
    Deno.writeTextFileSync(`/proc/${pid}/${file}`, text, { create: false, append: true });
  } catch (cause) {
    throw refused(file, mappings, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

async function callTool(file: MapFile, pid: number, mappings: readonly IdMapping[]): Promise<void> {
  const numbers = mappings.flatMap(({ containerID, hostID, size }) => [containerID, hostID, size]);
  const args = [pid, ...numbers].map(String);
  const program = findProgram(tools[file]);
  const env = callersVariables();
  const { success, stderr } = await new Deno.Command(program, {
    ...{ args, env, clearEnv: true },
    ...{ stdin: "null", stdout: "null" },
  }).output();
  if (!success) throw refused(file, mappings, new TextDecoder().decode(stderr).trim());
}

function refused(file: MapFile, mappings: readonly IdMapping[], why: string, cause?: unknown): Failure {
  const map = mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}`).join(", ");
  return new Failure("InvalidArgument", `cannot map ids: ${file} "${map}": ${why}`, { cause });
}
