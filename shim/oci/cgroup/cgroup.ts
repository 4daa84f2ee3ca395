/**
 * A container's cgroups: one directory in each hierarchy, handled as one thing.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Device, Resources } from "../../../api/oci/runtime_spec.ts";
import { flags } from "../../../ffi/constants.ts";
import { isErrno } from "../../../ffi/errno.ts";
import { call } from "../../../ffi/syscall.ts";
import { applySettings } from "./apply_settings.ts";
import { readControlIfThere, writeControl } from "./control_file.ts";
import { filterByList, filterByProgram } from "./device_filter.ts";
import { allowsEverything, type DevicePolicy, devicePolicy } from "./device_rules.ts";
import {
  type CgroupDirectory,
  delegateControllers,
  inheritCpuset,
  makeJoinable,
  makeWithParents,
  removeEmpty,
  words,
} from "./directory.ts";
import { freezeAndWait, type Freezer, freezerOf } from "./freezer.ts";
import type { Hierarchy } from "./hierarchies.ts";
import { cgroupDirectories } from "./paths.ts";
import { cgroupSettings } from "./settings.ts";
import { processesIn, removeSubtree } from "./subtree.ts";

/** What {@link Cgroup.fromRecord} makes the cgroups again from, in another process too; plain data. */
export type CgroupRecord = CgroupDirectory[];

/** Controllers of version 2 that count threads; all others count processes and are not to be had in threaded cgroups. */
const threadedControllers = new Set(["cpu", "cpuset", "pids", "perf_event", "cgroup"]);

/** As long as runc waits, 1000 times 10 ms. */
const freezeMsMax = 10_000;

/** Removal is tried this often, with pauses of 1, 2, 4 … ms between: 1 s in all. */
const removalsMax = 11;

/** Listings after which processes that fork faster than they are signalled are given up. */
const roundsMax = 100;

/**
 * Life: named by {@link Cgroup.at} → {@link Cgroup.create} makes the directories → {@link Cgroup.apply} sets the limits,
 * before any process is in → processes join by writing "0" to each of {@link Cgroup.joinFiles} → {@link Cgroup.remove},
 * once they have ended. Nothing of it is kept in memory only: the record does for everything after `create`.
 */
export class Cgroup {
  /** One for each hierarchy, in the order in which processes join them. */
  readonly places: readonly CgroupDirectory[];
  /** Whether nobody else has attached device programs. */
  #isOurs = true;

  private constructor(places: readonly CgroupDirectory[]) {
    this.places = places;
  }

  /** The cgroups of a container by the spec's `linux.cgroupsPath`; nothing is made. Throws as `cgroupDirectories`. */
  static at(hierarchies: readonly Hierarchy[], cgroupsPath: string | undefined, id: string): Cgroup {
    return new Cgroup(
      cgroupDirectories(hierarchies, cgroupsPath, id).map(({ hierarchy, path }) => ({
        version: hierarchy.version,
        name: hierarchy.name,
        controllers: [...hierarchy.controllers],
        mountpoint: hierarchy.mountpoint,
        path,
        made: false,
      })),
    );
  }

  /** The cgroups of a record. */
  static fromRecord(record: CgroupRecord): Cgroup {
    return new Cgroup(record.map((place) => ({ ...place })));
  }

  /** See {@link CgroupRecord}. To be taken after `create`, since it tells what that made. */
  toRecord(): CgroupRecord {
    return this.places.map((place) => ({ ...place }));
  }

  /** The files that a process writes "0" to in order to join. */
  get joinFiles(): string[] {
    return this.places.map(({ path }) => `${path}/cgroup.procs`);
  }

  /**
   * Makes the directories. Where one of them cannot be made, or has a process in it or is frozen, those made so far are
   * removed again. Throws {@link Failure}.
   */
  create(): void {
    const made: string[] = [];
    try {
      for (const place of this.places) place.made = makeReady(place, made);
      this.refuseInUse();
    } catch (error) {
      // Not with what is below them: a parent may have another container's cgroup in it by now, and stays then.
      for (const path of made.toReversed()) removeEmpty(path);
      for (const place of this.places) place.made = false;
      throw error;
    }
  }

  /**
   * Makes what a service manager has not made of a unit's directories. All of them are the container's own then. On
   * failure they stay, for the end of the unit. Throws {@link Failure}.
   */
  createInUnit(): void {
    this.#isOurs = false;
    for (const place of this.places) place.made = true;
    for (const place of this.places) makeReady(place, []);
  }

  /** Throws `FailedPrecondition` where a directory that `create` has not made has processes in it, or is frozen. */
  refuseInUse(): void {
    const found = new Set(this.places.filter(({ made }) => !made).flatMap(({ path }) => processesIn(path)));
    if (found.size > 0) {
      throw new Failure("FailedPrecondition", `container's cgroup is not empty: ${found.size} process(es) found`);
    }
    if (this.places.some(({ made }) => !made) && this.state() === "frozen") {
      throw new Failure("FailedPrecondition", "container's cgroup unexpectedly frozen");
    }
  }

  /**
   * Sets limits and device rules of a new container. `configured` is the spec's `linux.devices`, see `devicePolicy`.
   *
   * Throws {@link Failure}: what is wrong in the resources themselves before anything is written. With `rootless` device
   * rules that cannot be set are no failure: no ordinary user can, and the devices' own modes hold him.
   */
  apply(resources: Resources, configured: readonly Pick<Device, "path">[] = [], rootless = false): void {
    const policy = devicePolicy(resources.devices ?? [], configured);
    this.update(resources);
    try {
      this.#restrictDevices(policy);
    } catch (error) {
      if (!rootless || !(error instanceof Failure)) throw error;
    }
  }

  #restrictDevices(policy: DevicePolicy): void {
    const list = this.#withController("devices");
    const unified = this.#unified();
    if (list !== undefined) filterByList(list.path, policy);
    else if (unified !== undefined) filterByProgram(unified.path, policy, unified.made && this.#isOurs);
    else if (!allowsEverything(policy)) {
      throw new Failure(
        "FailedPrecondition",
        'cannot restrict devices: the cgroup controller "devices" is not mounted; want cgroups below /sys/fs/cgroup',
      );
    }
  }

  /** Sets limits of a container that may be running; device rules are never touched. Throws as {@link Cgroup.apply}. */
  update(resources: Resources): void {
    const unified = this.#unified();
    const pure = unified?.name === "" ? unified : undefined;
    const available = pure === undefined
      ? this.places.flatMap(({ controllers }) => controllers)
      : words(readControlIfThere(`${pure.path}/cgroup.controllers`));
    const settings = cgroupSettings(resources, pure === undefined ? 1 : 2, new Set(available));
    if (unified !== undefined) {
      const needsDomain = settings.some(({ controller }) => !threadedControllers.has(controller));
      makeJoinable(unified.path, pure !== undefined && needsDomain);
    }
    if (pure !== undefined) refuseBelowUsage(pure.path, resources.memory ?? {});
    applySettings(settings, (controller) => (pure ?? this.#withController(controller)!).path);
  }

  #withController(controller: string): CgroupDirectory | undefined {
    return this.places.find(({ controllers }) => controllers.includes(controller));
  }

  #unified(): CgroupDirectory | undefined {
    return this.places.find(({ version }) => version === 2);
  }

  /** Where the freezer is: in hybrid setups, version 1's. */
  #freezer(): Freezer | undefined {
    const place = this.#withController("freezer") ?? this.#unified();
    return place === undefined ? undefined : freezerOf(place.path, place.version);
  }

  /** Ids of all processes, those in cgroups below included. */
  processes(): number[] {
    const place = this.#withController("freezer") ?? this.#withController("devices") ?? this.#unified() ??
      this.places[0];
    return place === undefined ? [] : [...new Set(processesIn(place.path))];
  }

  /**
   * Sends a signal to all processes. They are frozen meanwhile, so that none escapes by forking; a paused container stays
   * paused, but SIGKILL thaws it, since a frozen process of version 1 does not die.
   */
  signalAll(signal: number): void {
    const kills = signal === flags("SIGKILL");
    if (kills && this.#killAtOnce()) return;
    const freezer = this.#freezer();
    const paused = freezer?.wasAsked() ?? false;
    if (!paused) ignoringMissing(() => freezer?.begin());
    try {
      const seen = new Set<number>();
      // What forked before it froze is in the next listing.
      for (let round = 0; round < roundsMax; round++) {
        const found = this.processes().filter((pid) => !seen.has(pid));
        if (found.length === 0) return;
        for (const pid of found) {
          seen.add(pid);
          sendSignal(pid, signal);
        }
      }
    } finally {
      if (kills || !paused) ignoringMissing(() => freezer?.thaw());
    }
  }

  /** Kills by `cgroup.kill` (Linux 5.14) where version 2 alone holds the processes. */
  #killAtOnce(): boolean {
    const unified = this.#unified();
    if (unified?.name !== "") return false;
    try {
      writeControl(`${unified.path}/cgroup.kill`, "1");
      return true;
    } catch (error) {
      // A threaded cgroup cannot be killed so.
      if (isErrno(error, "ENOENT", "EOPNOTSUPP")) return false;
      throw error;
    }
  }

  /** Stops all processes, and waits until they are. Throws `DeadlineExceeded` after `timeoutMs`; they run again then. */
  async freeze(timeoutMs = freezeMsMax): Promise<void> {
    await freezeAndWait(this.#freezerOrThrow("freeze"), this.#name, timeoutMs);
  }

  /** Lets frozen processes run again; nothing where they do. Throws {@link Failure}. */
  thaw(): void {
    this.#freezerOrThrow("thaw").thaw();
  }

  /** Whether this cgroup was told to freeze. A frozen parent does not count. */
  state(): "frozen" | "thawed" {
    return this.#freezer()?.wasAsked() ? "frozen" : "thawed";
  }

  #freezerOrThrow(action: string): Freezer {
    const freezer = this.#freezer();
    if (freezer !== undefined) return freezer;
    throw new Failure(
      "FailedPrecondition",
      `cannot ${action} the container: the cgroup controller "freezer" is not mounted; want it below /sys/fs/cgroup`,
    );
  }

  /** How messages call the cgroup: its path below the first mount point. */
  get #name(): string {
    const place = this.places[0];
    return place === undefined ? "" : place.path.slice(place.mountpoint.length);
  }

  /**
   * Removes the directories that `create` made, with what is below them. The last process's end takes the kernel a moment
   * to count, so busy ones are tried again for a second. Throws `FailedPrecondition` that names what is left.
   */
  async remove(): Promise<void> {
    let left = this.places.filter(({ made }) => made);
    for (let attempt = 0; attempt < removalsMax; attempt++) {
      if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, 2 ** (attempt - 1)));
      const busy: CgroupDirectory[] = [];
      for (const place of left) if (!await removeSubtree(place.path)) busy.push(place);
      left = busy;
      if (left.length === 0) return;
    }
    const processes = [...new Set(left.flatMap(({ path }) => processesIn(path)))];
    const why = processes.length === 0 ? "busy" : `in use by the processes ${processes.join(", ")}`;
    throw new Failure(
      "FailedPrecondition",
      `cannot remove the cgroup "${this.#name}": ${left.map(({ path }) => path).join(", ")} is still ${why}`,
    );
  }
}

/** Makes a directory that processes can join; false where it was there. What is made is added to `made`. */
function makeReady({ path, mountpoint, controllers, version, name }: CgroupDirectory, made: string[]): boolean {
  const isNew = makeWithParents(path, mountpoint, made);
  if (controllers.includes("cpuset")) inheritCpuset(path, mountpoint);
  if (version === 2 && name === "") delegateControllers(path, mountpoint);
  return isNew;
}

/**
 * `memory.checkBeforeUpdate`: version 2 would not refuse a limit below the usage but reclaim and kill until it fits.
 * Best effort, as the usage may grow between the look and the write.
 */
function refuseBelowUsage(path: string, memory: NonNullable<Resources["memory"]>): void {
  if (!memory.checkBeforeUpdate) return;
  const usage = Number(readControlIfThere(`${path}/memory.current`) ?? 0);
  for (const [name, limit] of [["limit", memory.limit], ["swap", memory.swap]] as const) {
    if (limit === undefined || limit <= 0 || limit > usage) continue;
    throw new Failure(
      "FailedPrecondition",
      `cannot set memory.${name} to ${limit}: ${usage} bytes are in use; want more than that`,
    );
  }
}

function sendSignal(pid: number, signal: number): void {
  try {
    call("kill", pid, signal);
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
}

/** For a cgroup that may be gone already, or a kernel without a freezer in version 2 (before 5.2). */
function ignoringMissing(body: () => void): void {
  try {
    body();
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENODEV")) throw error;
  }
}
