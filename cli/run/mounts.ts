/**
 * The mounts of a run: docker's defaults, the generated files, and what the user asks for.
 *
 * @module
 */
import type { Mount } from "../../api/oci/runtime_spec.ts";
import type { RunCommand } from "./flags.ts";
import { cleanAbsolute } from "./values/target.ts";
import type { BindRequest, MountRequest } from "./values/volume.ts";

/** The source of a bind mount on the host. */
export interface BindSource {
  readonly path: string;
  /** Whether it is made as a directory where it is missing. */
  readonly create: boolean;
}

/** What the mounts follow from. */
export interface MountInput {
  readonly command: RunCommand;
  readonly workingDirectory: string;
  /** Files to bind unless the user mounts something there. */
  readonly files: readonly { readonly source: string; readonly target: string }[];
}

/** All mounts in the order in which they are made. */
export function buildMounts({ command, workingDirectory, files }: MountInput): {
  mounts: Mount[];
  sources: BindSource[];
} {
  const targets = new Set(command.mounts.map(({ target }) => target));
  // What the user mounts on a default's place, or on a directory above it, takes its place.
  const covered = (path: string) => [...targets].some((target) => path === target || path.startsWith(`${target}/`));
  const mounts = defaultMounts(command).filter(({ destination }) => !covered(destination));
  const options = ["rbind", "rprivate", ...(command.flags.readOnly ? ["ro"] : [])];
  for (const { source, target } of files) {
    if (!covered(target)) mounts.push({ destination: target, type: "bind", source, options: [...options] });
  }
  const sources: BindSource[] = [];
  for (const request of command.mounts) {
    if (request.type === "tmpfs") {
      mounts.push({ destination: request.target, type: "tmpfs", source: "tmpfs", options: [...request.options] });
      continue;
    }
    const path = cleanAbsolute(
      request.source.startsWith("/") ? request.source : `${workingDirectory}/${request.source}`,
    );
    sources.push({ path, create: request.createSource });
    mounts.push({ destination: request.target, type: "bind", source: path, options: bindOptions(request) });
  }
  return { mounts, sources };
}

function defaultMounts({ flags }: RunCommand): Mount[] {
  const plain = ["nosuid", "noexec", "nodev"];
  const kernel = flags.privileged ? plain : [...plain, "ro"];
  return [
    { destination: "/proc", type: "proc", source: "proc", options: plain },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {
      destination: "/dev/shm",
      type: "tmpfs",
      source: "shm",
      options: [...plain, "mode=1777", `size=${flags.shmSize}`],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: plain },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: kernel },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...kernel, "relatime"] },
  ];
}

function bindOptions({ recursive, readonly, propagation }: BindRequest): string[] {
  const options = [recursive ? "rbind" : "bind", propagation];
  // `ro` alone would leave mounts below the source writable.
  if (readonly) options.push("ro", ...(recursive ? ["rro"] : []));
  return options;
}

/** What the root's propagation must be for the wished ones to have an effect; undefined is the runtime's default. */
export function rootPropagation(mounts: readonly MountRequest[]): "rshared" | "rslave" | undefined {
  const wanted = new Set(mounts.map((mount) => mount.type === "bind" ? mount.propagation.replace(/^r/, "") : ""));
  return wanted.has("shared") ? "rshared" : wanted.has("slave") ? "rslave" : undefined;
}
