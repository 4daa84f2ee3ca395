/**
 * The class of resctrl that a container's processes are in, and the group that measures them (runtime-spec,
 * config-linux.md, IntelRdt).
 *
 * Processes join by themselves, as they join cgroups: see `Facts.resctrl`.
 *
 * @module
 */
import { Failure, messageOf } from "../../../api/errors.ts";
import type { IntelRdt } from "../../../api/oci/runtime_spec.ts";
import { readTextIfThere } from "../../../ffi/if_there.ts";
import type { Resctrl } from "./host.ts";
import { firstDifference, wantedSchemata } from "./schemata.ts";

/** What a container's state keeps; plain data. */
export interface ResctrlRecord {
  /** Directories whose `tasks` every process of the container is written to, in this order: the class comes first. */
  joins: string[];
  /** Directories that belong to this container alone, in the order they are made: removed with it. */
  own: string[];
}

/** A class before anything is made. */
export interface PlannedGroup {
  record: ResctrlRecord;
  /** The class to be made, where it has a name of its own: it stays for others that name it, as with runc. */
  shared?: string;
  /** Written to the class where this runtime makes it. */
  schemata: string;
}

/**
 * What the container asks for, on this host; `host` is undefined where no resctrl is mounted. Makes nothing.
 *
 * Throws `InvalidArgument` for a class that has no valid name, `FailedPrecondition` for what the host cannot do, and for
 * a class that is missing, or is there with other schemata than these.
 */
export function planGroup(rdt: IntelRdt, id: string, host: Resctrl | undefined): PlannedGroup {
  const { closID = "" } = rdt;
  // "/" is the class that every process is in from the beginning.
  if (closID !== "/" && (closID === "." || closID === ".." || closID.includes("/"))) {
    throw new Failure("InvalidArgument", `invalid intelRdt.ClosID ${JSON.stringify(closID)}`);
  }
  requireHost(rdt, host);
  const directory = closID === "/" ? host.mountpoint : `${host.mountpoint}/${closID || id}`;
  const schemata = wantedSchemata(rdt);
  const existing = readSchemata(directory);
  const record: ResctrlRecord = { joins: [directory], own: [] };
  if (existing === undefined) {
    if (closID !== "" && schemata === "") {
      const must = "must be pre-created when l3CacheSchema and memBwSchema are empty";
      throw new Failure("FailedPrecondition", `clos dir not accessible (${must}): no such directory: "${directory}"`);
    }
    if (closID === "") record.own.push(directory);
  } else {
    const other = firstDifference(schemata, existing);
    if (other !== undefined) {
      throw new Failure(
        "FailedPrecondition",
        `intelRdt: the class "${directory}" exists with other schemata than ${JSON.stringify(other)}`,
      );
    }
  }
  if (rdt.enableMonitoring || rdt.enableCMT || rdt.enableMBM) {
    const monitor = `${directory}/mon_groups/${id}`;
    record.joins.push(monitor);
    record.own.push(monitor);
  }
  return { record, schemata, ...(existing === undefined && closID !== "" ? { shared: directory } : {}) };
}

function requireHost(rdt: IntelRdt, host: Resctrl | undefined): asserts host is Resctrl {
  const refuse = (property: string, feature: string) =>
    new Failure("FailedPrecondition", `${property} is specified in config, but Intel RDT${feature} is not enabled`);
  if (rdt.l3CacheSchema && !host?.hasCaches) throw refuse("intelRdt.l3CacheSchema", "/CAT");
  if (rdt.memBwSchema && !host?.hasBandwidth) throw refuse("intelRdt.memBwSchema", "/MBA");
  if (host === undefined) throw refuse("intelRdt", "");
  const monitored = (["enableMonitoring", "enableCMT", "enableMBM"] as const).find((name) => rdt[name]);
  if (monitored !== undefined && !host.hasMonitoring) throw refuse(`intelRdt.${monitored}`, " monitoring");
}

/** Contents of the class's `schemata`; undefined where there is no such class. */
function readSchemata(directory: string): string | undefined {
  return readTextIfThere(`${directory}/schemata`);
}

/**
 * Makes what is planned, with its schemata. On failure nothing of it is left. Throws `Aborted` with what the kernel
 * refuses, and says why, where it does.
 */
export function makeGroup({ record, shared, schemata }: PlannedGroup): void {
  const made: string[] = [];
  const [group] = record.joins;
  try {
    for (const path of [...(shared === undefined ? [] : [shared]), ...record.own]) {
      Deno.mkdirSync(path, { mode: 0o755 });
      made.push(path);
      if (path === group) writeSchemata(path, schemata);
    }
  } catch (cause) {
    removeAll(made);
    if (cause instanceof Failure) throw cause;
    throw new Failure("Aborted", `intelRdt: cannot make the group: ${messageOf(cause)}`, { cause });
  }
}

/**
 * The groups of a container whose schemata are to change. Throws `FailedPrecondition` for what the host does not have,
 * and for a container that was created without groups.
 */
export function updatableGroup(
  record: ResctrlRecord | undefined,
  change: Pick<IntelRdt, "l3CacheSchema" | "memBwSchema">,
  host: Resctrl | undefined,
): ResctrlRecord {
  if (change.l3CacheSchema && !host?.hasCaches) {
    throw new Failure("FailedPrecondition", "Intel RDT/CAT: l3 cache schema is not enabled");
  }
  if (change.memBwSchema && !host?.hasBandwidth) {
    throw new Failure("FailedPrecondition", "Intel RDT/MBA: memory bandwidth schema is not enabled");
  }
  if (record !== undefined) return record;
  throw new Failure("FailedPrecondition", "Intel RDT: the container was created without linux.intelRdt");
}

/** Sets the schemata of the container's class; empty ones stay. Throws `Aborted` where the kernel refuses. */
export function updateSchemata(record: ResctrlRecord, change: Pick<IntelRdt, "l3CacheSchema" | "memBwSchema">): void {
  // Every record has a class.
  writeSchemata(record.joins[0]!, wantedSchemata(change));
}

function writeSchemata(directory: string, schemata: string): void {
  if (schemata === "") return;
  try {
    // At once: the kernel then checks all lines before it takes the first.
    Deno.writeTextFileSync(`${directory}/schemata`, schemata);
  } catch (cause) {
    const text = JSON.stringify(schemata.trimEnd());
    throw new Failure("Aborted", `intelRdt: cannot write ${text} to "${directory}/schemata": ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Removes what belongs to the container alone; the kernel moves processes that are left to the class above. */
export function removeGroup(record: ResctrlRecord): void {
  removeAll(record.own);
}

/** Removes what {@link makeGroup} has made for a container that does not come to be; a class that others use stays. */
export function undoGroup({ record, shared }: PlannedGroup): void {
  removeGroup(record);
  if (shared !== undefined && !isInUse(shared)) removeAll([shared]);
}

function isInUse(directory: string): boolean {
  return (readTextIfThere(`${directory}/tasks`) ?? "").trim() !== "";
}

/** The kernel removes a group with its files by rmdir(2). */
function removeAll(directories: readonly string[]): void {
  for (const path of directories.toReversed()) {
    try {
      Deno.removeSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
