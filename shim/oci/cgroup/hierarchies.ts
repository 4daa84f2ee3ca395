/**
 * Which cgroup hierarchies this host has, where they are mounted, and where this process is in them.
 *
 * @module
 */
import { unescapeMountField } from "../../../ffi/mount_table.ts";

/**
 * One mounted hierarchy.
 *
 * A host has either one of version 2 mounted at `/sys/fs/cgroup` ("pure"), or several of version 1, with or without one of
 * version 2 beside them ("hybrid"; systemd mounts it as `unified`).
 */
export interface Hierarchy {
  version: 1 | 2;
  /**
   * Version 1: what is bound to it, such as `["cpu", "cpuacct"]` or `["name=systemd"]`. Version 2: empty, since what is
   * available differs from directory to directory and stands in each `cgroup.controllers`.
   */
  controllers: string[];
  /** Directory name as mounted: `cpu,cpuacct`, `systemd`, `unified`; empty for pure version 2. */
  name: string;
  /** Absolute path. */
  mountpoint: string;
  /** The hierarchy's directory that the mount point shows: `/`, or the outer container's cgroup inside a container. */
  root: string;
  /** This process's directory, counted from the hierarchy's top as `/proc/self/cgroup` gives it. */
  ownPath: string;
}

const top = "/sys/fs/cgroup";

/**
 * The order in which runc joins the controllers of version 1. The order matters to nobody but readers of traces, with
 * one exception: version 2 comes last.
 */
const joinOrder = [
  "cpuset",
  "devices",
  "memory",
  "cpu",
  "cpuacct",
  "pids",
  "blkio",
  "hugetlb",
  "net_cls",
  "net_prio",
  "perf_event",
  "freezer",
  "rdma",
  "name=systemd",
  "misc",
];

interface MountLine {
  root: string;
  mountpoint: string;
  options: string[];
}

/**
 * The hierarchies in the order in which a process joins them, each once.
 *
 * `mountinfo` and `selfCgroup` are the contents of `/proc/self/mountinfo` (proc_pid_mountinfo(5)) and
 * `/proc/self/cgroup` (cgroups(7)). A hierarchy without a mount point is left out.
 */
export function parseHierarchies(mountinfo: string, selfCgroup: string): Hierarchy[] {
  const mounts = cgroupMounts(mountinfo);
  const own = ownPaths(selfCgroup);
  const first: Hierarchy[] = [];
  for (const [list, ownPath] of own) {
    if (list === "") continue;
    const controllers = list.split(",");
    const mount = best(mounts.v1.filter(({ options }) => controllers.every((name) => options.includes(name))));
    if (mount === undefined) continue;
    const { root, mountpoint } = mount;
    first.push({ version: 1, controllers, name: baseName(mountpoint), mountpoint, root, ownPath });
  }
  const unified = best(mounts.v2);
  const ownUnified = own.get("") ?? "/";
  if (unified === undefined) return inJoinOrder(first);
  const { root, mountpoint } = unified;
  // Where version 2 is at the top, a version 1 hierarchy elsewhere is somebody's private mount.
  const pure = mountpoint === top || first.length === 0;
  const second: Hierarchy = {
    version: 2,
    controllers: [],
    name: pure ? "" : baseName(mountpoint),
    mountpoint,
    root,
    ownPath: ownUnified,
  };
  return pure ? [second] : [...inJoinOrder(first), second];
}

/** The hierarchies of this host as this process sees them; none where no cgroup file system is mounted. */
export function readHierarchies(): Hierarchy[] {
  const mountinfo = Deno.readTextFileSync("/proc/self/mountinfo");
  const selfCgroup = Deno.readTextFileSync("/proc/self/cgroup");
  if (parsed?.mountinfo !== mountinfo || parsed.selfCgroup !== selfCgroup) {
    parsed = { mountinfo, selfCgroup, hierarchies: parseHierarchies(mountinfo, selfCgroup) };
  }
  return parsed.hierarchies;
}

/** The last answer: a process that starts many containers reads the same texts each time. */
let parsed: { mountinfo: string; selfCgroup: string; hierarchies: Hierarchy[] } | undefined;

/** Controller list → own path; the empty list is version 2. */
function ownPaths(selfCgroup: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of selfCgroup.split("\n")) {
    const found = /^\d+:([^:]*):(\/.*)$/.exec(line);
    if (found !== null) paths.set(found[1]!, found[2]!);
  }
  return paths;
}

function cgroupMounts(mountinfo: string): { v1: MountLine[]; v2: MountLine[] } {
  const mounts: { v1: MountLine[]; v2: MountLine[] } = { v1: [], v2: [] };
  for (const line of mountinfo.split("\n")) {
    // Cheap test first: hosts with many containers have thousands of lines.
    const dash = line.indexOf(" - cgroup");
    if (dash === -1) continue;
    const [type, , options] = line.slice(dash + 3).split(" ");
    const [, , , root, mountpoint] = line.split(" ", 5);
    if (root === undefined || mountpoint === undefined || options === undefined) continue;
    const mount = {
      root: unescapeMountField(root),
      mountpoint: unescapeMountField(mountpoint),
      options: options.split(","),
    };
    if (type === "cgroup") mounts.v1.push(mount);
    else if (type === "cgroup2") mounts.v2.push(mount);
  }
  return mounts;
}

/** Of several mounts of one hierarchy the one in the usual place; another may be a bind mount into some container. */
function best(mounts: MountLine[]): MountLine | undefined {
  return mounts.find(({ mountpoint }) => mountpoint === top || mountpoint.startsWith(`${top}/`)) ?? mounts[0];
}

function inJoinOrder(hierarchies: Hierarchy[]): Hierarchy[] {
  const rank = ({ controllers }: Hierarchy): number => {
    const ranks = controllers.map((name) => joinOrder.indexOf(name)).filter((index) => index !== -1);
    return ranks.length === 0 ? joinOrder.length : Math.min(...ranks);
  };
  return hierarchies.toSorted((a, b) => rank(a) - rank(b));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
