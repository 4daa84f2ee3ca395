/**
 * The commands of the OCI runtime for a container under way: pause, resume, ps, update.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Resources } from "../../api/oci/runtime_spec.ts";
import { Cgroup } from "../../shim/oci/cgroup/cgroup.ts";
import { StateDirectory } from "../../shim/oci/container_state.ts";
import { pauseContainer, resumeContainer } from "../../shim/oci/pause.ts";
import { parseResources } from "../../shim/oci/spec/parse.ts";
import { updateContainer } from "../../shim/oci/update.ts";
import { type FlagValues, parseFlags } from "../flags.ts";
import { psFlags, updateFlags } from "./flags.ts";
import type { RuntimeLog } from "./log.ts";
import { oneId } from "./one_id.ts";
import { callersVariables } from "../../ffi/launch.ts";

const dialect = { singleDashLong: true } as const;

/** `pause ID` */
export async function pause(root: string, args: string[]): Promise<void> {
  await pauseContainer(new StateDirectory(root, oneId("pause", parseFlags({}, args, dialect).args)));
}

/** `resume ID` */
export function resume(root: string, args: string[]): void {
  resumeContainer(new StateDirectory(root, oneId("resume", parseFlags({}, args, dialect).args)));
}

/** `ps ID [ARGUMENTS OF ps]`: the container's processes, as a table of the host's `ps` or as JSON of process ids. */
export async function ps(root: string, args: string[]): Promise<string> {
  const { flags, args: [id, ...rest] } = parseFlags(psFlags, args, { ...dialect, interspersed: false });
  const directory = new StateDirectory(root, oneId("ps", id === undefined ? [] : [id]));
  const cgroup = Cgroup.fromRecord(directory.read().cgroup);
  if (cgroup.places.length === 0) {
    throw new Failure("FailedPrecondition", "unable to get all container pids: the container has no cgroup of its own");
  }
  const pids = cgroup.processes().sort((a, b) => a - b);
  // Callers put the flag behind the id as well.
  const late = parseLateFormat(rest);
  if ((late.format ?? flags.format) === "json") return `${pids.length === 0 ? "null" : JSON.stringify(pids)}\n`;
  return filterTable(await hostPs(late.rest.length === 0 ? ["-ef"] : late.rest), new Set(pids));
}

function parseLateFormat(args: readonly string[]): { format?: string; rest: readonly string[] } {
  const [first, second, ...rest] = args;
  if ((first === "--format" || first === "-f") && (second === "json" || second === "table")) {
    return { format: second, rest };
  }
  return { rest: args };
}

async function hostPs(args: readonly string[]): Promise<string> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command("ps", { args: [...args], env: callersVariables(), clearEnv: true, stdin: "null" })
      .output();
  } catch (error) {
    throw new Failure("NotFound", 'exec: "ps": executable file not found in $PATH; use --format json', {
      cause: error,
    });
  }
  const decoder = new TextDecoder();
  if (!output.success) {
    throw new Failure("Unknown", `exit status ${output.code}: ${decoder.decode(output.stderr).trim()}`);
  }
  return decoder.decode(output.stdout);
}

/** The header, and the lines whose column PID is one of the container's. Throws where there is no such column. */
export function filterTable(table: string, pids: ReadonlySet<number>): string {
  const [header = "", ...lines] = table.split("\n");
  const column = header.trim().split(/\s+/).indexOf("PID");
  if (column < 0) throw new Failure("InvalidArgument", "couldn't find PID field in ps output");
  const own = lines.filter((line) => pids.has(Number(line.trim().split(/\s+/)[column])));
  return [header, ...own].map((line) => `${line}\n`).join("");
}

/** `update ID`: new limits by flags, or as JSON of a file or standard input. */
export async function update(root: string, args: string[], log: RuntimeLog): Promise<void> {
  const { flags, args: positionals } = parseFlags(updateFlags, args, dialect);
  const directory = new StateDirectory(root, oneId("update", positionals));
  const request = flags.resources === undefined
    ? resourcesFromFlags(flags)
    : parseResources(await readResources(flags.resources));
  const setSchemata = flags.l3CacheSchema || flags.memBwSchema ? await schemataSetter(directory, flags) : undefined;
  for (const name of ["kernelMemory", "kernelMemoryTcp"] as const) {
    if (flags[name] !== undefined) log.warn("Kernel memory settings are ignored and will be removed");
  }
  await updateContainer(directory, request, (message) => log.warn(message));
  setSchemata?.();
}

/** Checks that the container's class can be changed, before anything is; what is given back does it. */
async function schemataSetter(
  directory: StateDirectory,
  { l3CacheSchema, memBwSchema }: FlagValues<typeof updateFlags>,
): Promise<() => void> {
  const [{ readResctrl }, { updatableGroup, updateSchemata }] = await Promise.all([
    import("../../shim/oci/resctrl/host.ts"),
    import("../../shim/oci/resctrl/group.ts"),
  ]);
  const change = {
    ...(l3CacheSchema === undefined ? {} : { l3CacheSchema }),
    ...(memBwSchema === undefined ? {} : { memBwSchema }),
  };
  const group = updatableGroup(directory.read().resctrl, change, readResctrl());
  return () => updateSchemata(group, change);
}

async function readResources(path: string): Promise<string> {
  if (path !== "-") return Deno.readTextFileSync(path);
  return await new Response(Deno.stdin.readable).text();
}

/** The resources that flags ask for; those that are not given are left out. */
function resourcesFromFlags(flags: FlagValues<typeof updateFlags>): Resources {
  const given = <T extends Record<string, number | string | undefined>>(values: T) =>
    // What is filtered out is the undefined ones.
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
      [K in keyof T]?: NonNullable<T[K]>;
    };
  return {
    memory: given({ limit: flags.memory, reservation: flags.memoryReservation, swap: flags.memorySwap }),
    cpu: given({
      shares: flags.cpuShare,
      quota: flags.cpuQuota,
      period: flags.cpuPeriod,
      burst: flags.cpuBurst,
      realtimeRuntime: flags.cpuRtRuntime,
      realtimePeriod: flags.cpuRtPeriod,
      cpus: flags.cpusetCpus,
      mems: flags.cpusetMems,
      idle: flags.cpuIdle,
    }),
    ...(flags.pidsLimit !== undefined ? { pids: { limit: flags.pidsLimit } } : {}),
    ...(flags.blkioWeight ? { blockIO: { weight: flags.blkioWeight } } : {}),
  };
}
