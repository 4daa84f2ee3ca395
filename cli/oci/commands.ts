/**
 * The commands of the OCI runtime that do not make processes.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { readHierarchies } from "../../shim/oci/cgroup/hierarchies.ts";
import { listContainers, specOf, StateDirectory } from "../../shim/oci/container_state.ts";
import { deleteContainer } from "../../shim/oci/delete.ts";
import { killAll, killContainer } from "../../shim/oci/kill.ts";
import { defaultSpec, rootlessSpec } from "../../shim/oci/spec/default_spec.ts";
import { specVersion } from "../../shim/oci/spec/version.ts";
import { startContainer } from "../../shim/oci/start.ts";
import { statusOf } from "../../shim/oci/status.ts";
import { parseFlags } from "../flags.ts";
import { bundleOf } from "./bundle.ts";
import { deleteFlags, killFlags, listFlags, specFlags } from "./flags.ts";
import { oneId, UsageFailure } from "./one_id.ts";
import type { RuntimeLog } from "./log.ts";
import { signalNumber } from "./signals.ts";

const dialect = { singleDashLong: true } as const;

/** `start ID` */
export async function start(root: string, args: string[]): Promise<void> {
  const id = oneId("start", parseFlags({}, args, dialect).args);
  const { nofile, environment } = readLaunch();
  const directory = new StateDirectory(root, id);
  const host = environment.get("NOTIFY_SOCKET");
  if (host) await (await import("./notify.ts")).startAndTell(directory, host);
  else await startContainer(directory, nofile);
}

/** What `state` and `list` show of a container. */
function describe(directory: StateDirectory) {
  const state = directory.read();
  const status = statusOf(directory, state);
  const { annotations } = specOf(state);
  return {
    ociVersion: specVersion,
    id: state.id,
    pid: status === "stopped" ? 0 : state.pid,
    status,
    bundle: state.bundle,
    rootfs: state.rootfs,
    created: state.created,
    ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
    owner: "",
  };
}

/** `state ID`: one JSON object, without a newline at its end. */
export function state(root: string, args: string[]): string {
  const id = oneId("state", parseFlags({}, args, dialect).args);
  return JSON.stringify(describe(new StateDirectory(root, id)), null, 2);
}

/** `list`: a table, JSON, or ids alone. A root that was named has to be there. */
export function list(root: string, args: string[], _log: RuntimeLog, global: { rootGiven: boolean }): string {
  const { flags } = parseFlags(listFlags, args, dialect);
  const ids = listContainers(root, global.rootGiven);
  if (flags.quiet) return ids.map((id) => `${id}\n`).join("");
  const rows = ids.flatMap((id) => {
    try {
      return [{ ...describe(new StateDirectory(root, id)), owner: "root" }];
    } catch (error) {
      console.error(`load container ${id}: ${error instanceof Error ? error.message : error}`);
      return [];
    }
  });
  if (flags.format === "json") return `${rows.length === 0 ? "null" : JSON.stringify(rows)}\n`;
  const table = [
    ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"],
    ...rows.map((row) => [row.id, String(row.pid), row.status, row.bundle, row.created, row.owner]),
  ];
  const widths = table[0]!.map((_, column) => Math.max(9, ...table.map((row) => row[column]!.length)) + 3);
  return table.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("").trimEnd() + "\n").join("");
}

/** `kill ID [SIGNAL]` */
export function kill(root: string, args: string[]): void {
  const { flags, args: [id, signal = "SIGTERM", ...more] } = parseFlags(killFlags, args, {
    ...dialect,
    // `kill ID -9` has no flags after the id.
    interspersed: false,
  });
  if (more.length > 0) throw new UsageFailure('runc: "kill" requires a maximum of 2 argument(s)');
  const directory = new StateDirectory(root, oneId("kill", id === undefined ? [] : [id]));
  (flags.all ? killAll : killContainer)(directory, signalNumber(signal));
}

/** `delete ID` */
export async function remove(root: string, args: string[], log: RuntimeLog): Promise<void> {
  const { flags, args: positionals } = parseFlags(deleteFlags, args, dialect);
  await deleteContainer(new StateDirectory(root, oneId("delete", positionals)), {
    force: flags.force,
    warn: (message) => log.warn(message),
  });
}

/** `spec`: writes a config.json that runs `sh`. */
export function spec(args: string[]): void {
  const { flags } = parseFlags(specFlags, args, dialect);
  const path = `${bundleOf(flags.bundle)}/config.json`;
  const isPure = readHierarchies().some(({ version, name }) => version === 2 && name === "");
  const made = flags.rootless
    ? rootlessSpec({ uid: Deno.uid() ?? 0, gid: Deno.gid() ?? 0 }, isPure ? 2 : 1)
    : defaultSpec(isPure ? 2 : 1);
  const text = JSON.stringify(made, null, "\t");
  try {
    Deno.writeTextFileSync(path, text, { createNew: true, mode: 0o666 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw new Failure("AlreadyExists", `file ${path} exists: remove it first`, { cause: error });
  }
}
