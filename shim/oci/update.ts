/**
 * Changes the limits of a container that may be running.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import type { Resources } from "../../api/oci/runtime_spec.ts";
import { Cgroup } from "./cgroup/cgroup.ts";
import { specOf, type StateDirectory } from "./container_state.ts";
import { parseJson, stringifyJson } from "./spec/json.ts";
import { statusOf } from "./status.ts";

/** Limits that the kernel has in one file, or checks against each other: where one changes, the others go along. */
const related: readonly { group: "memory" | "cpu"; names: readonly string[] }[] = [
  { group: "memory", names: ["limit", "swap"] },
  { group: "cpu", names: ["quota", "period"] },
  { group: "cpu", names: ["realtimeRuntime", "realtimePeriod"] },
];

/**
 * Sets the limits that the request names; 0 and what is absent stay as they are. Device rules are never touched. Where
 * the kernel refuses one, those before the request are set again, and `warn` is told where that fails too.
 *
 * Throws `FailedPrecondition` "container not running", and as `Cgroup.update`.
 */
export async function updateContainer(
  directory: StateDirectory,
  request: Resources,
  warn: (message: string) => void,
): Promise<void> {
  const state = directory.read();
  if (statusOf(directory, state) === "stopped") throw new Failure("FailedPrecondition", "container not running");
  const before = currentResources(directory) ?? specOf(state).linux?.resources ?? {};
  const wanted = withoutSwapOfUnlimited(request);
  const merged = mergeResources(before, wanted);
  const cgroup = Cgroup.fromRecord(state.cgroup);
  const set = async (resources: Resources): Promise<void> => {
    if (state.unit === undefined) return cgroup.update(resources);
    const { updateUnit } = await import("./cgroup/systemd/unit.ts");
    cgroup.update(await updateUnit(state.unit, resources));
  };
  try {
    await set(withRelated(wanted, merged));
  } catch (error) {
    try {
      await set({ ...before, devices: [] });
    } catch (cause) {
      warn(`Setting back cgroup configs failed due to error: ${messageOf(cause)}, the limits may be inconsistent.`);
    }
    throw error;
  }
  writeResources(directory, merged);
}

/** Memory without a limit has none for memory and swap together either. */
function withoutSwapOfUnlimited(request: Resources): Resources {
  const { memory } = request;
  return memory?.limit === -1 && !memory.swap ? { ...request, memory: { ...memory, swap: -1 } } : request;
}

type Numbers = Record<string, unknown>;

const isGiven = (value: unknown): boolean => value !== undefined && value !== 0 && value !== "";

/** Properties whose 0 is a value like others; elsewhere callers send it for what they do not ask for. */
const zeroCounts: ReadonlySet<string> = new Set(["pids.limit", "cpu.burst", "cpu.idle", "memory.swappiness"]);

/** The resources with what the request gives; its lists and maps replace the older ones. */
export function mergeResources(before: Resources, request: Resources): Resources {
  const merged: Resources = { ...before };
  for (const [key, value] of Object.entries(request)) {
    // Entries of the same type, by its keys.
    const old = (before as Numbers)[key];
    const isGroup = typeof value === "object" && value !== null && !Array.isArray(value);
    (merged as Numbers)[key] = isGroup && key !== "unified" ? { ...(old ?? {}), ...givenOf(key, value) } : value;
  }
  return merged;
}

function givenOf(group: string, values: object): Numbers {
  const entries = Object.entries(values).filter(([name, value]) =>
    isGiven(value) || value === 0 && zeroCounts.has(`${group}.${name}`)
  );
  return Object.fromEntries(entries);
}

/** The request, with the values in force of what belongs to its own. */
export function withRelated(request: Resources, merged: Resources): Resources {
  const result: Resources = { ...request };
  for (const { group, names } of related) {
    // The groups are objects of numbers; their names are the table's.
    const asked = (request[group] ?? {}) as Numbers;
    if (!names.some((name) => isGiven(asked[name]))) continue;
    const all = (merged[group] ?? {}) as Numbers;
    const added = Object.fromEntries(names.filter((name) => isGiven(all[name])).map((name) => [name, all[name]]));
    result[group] = { ...result[group], ...added };
  }
  return result;
}

const fileName = "resources.json";

/** The limits in force, where an update has changed those of the spec. */
function currentResources(directory: StateDirectory): Resources | undefined {
  const path = `${directory.path}/${fileName}`;
  try {
    // Written by this module alone.
    return parseJson(Deno.readTextFileSync(path), path) as Resources;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function writeResources(directory: StateDirectory, resources: Resources): void {
  const temporary = `${directory.path}/resources-${Deno.pid}`;
  Deno.writeTextFileSync(temporary, stringifyJson(resources), { mode: 0o600 });
  Deno.renameSync(temporary, `${directory.path}/${fileName}`);
}
