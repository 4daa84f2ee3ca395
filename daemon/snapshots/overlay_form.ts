/**
 * Snapshots as layers of the kernel's overlay file system; paths and mounts are containerd's.
 *
 * @module
 */
import type { SnapshotForm } from "./form.ts";
import { bindMount } from "./form.ts";

/** Options that every overlay mount gets, from what the kernel and the user namespace want. */
function defaultOptions(): string[] {
  const options: string[] = [];
  if (inUserNamespace()) options.push("userxattr");
  // With an index, lower directories that were used by another overlay before are refused.
  if (exists("/sys/module/overlay/parameters/index")) options.push("index=off");
  return options;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function inUserNamespace(): boolean {
  try {
    return !/^\s*0\s+0\s+4294967295\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"));
  } catch (error) {
    // A kernel without user namespaces.
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

let options: string[] | undefined;

/** A directory holds `fs`, the upper or a lower layer, and `work` while it is active. */
export const overlayForm: SnapshotForm = {
  name: "overlayfs",
  layers: "overlay",
  rebases: true,

  files: (directory) => `${directory}/fs`,

  fill(directory, kind, parent) {
    const fs = `${directory}/fs`;
    Deno.mkdirSync(fs);
    // Not by mkdir's mode: the umask would decide who may enter the container's root.
    Deno.chmodSync(fs, 0o755);
    if (parent !== undefined) {
      const { uid, gid } = Deno.statSync(`${parent}/fs`);
      if (uid !== 0 || gid !== 0) Deno.chownSync(fs, uid, gid);
    }
    if (kind === "active") Deno.mkdirSync(`${directory}/work`, { mode: 0o711 });
  },

  mounts(directory, kind, parents) {
    const [nearest] = parents;
    if (nearest === undefined) return [bindMount(`${directory}/fs`, kind === "active" ? "rw" : "ro", "access first")];
    if (kind === "view" && parents.length === 1) return [bindMount(`${nearest}/fs`, "ro", "access first")];
    const writable = kind === "active" ? [`workdir=${directory}/work`, `upperdir=${directory}/fs`] : [];
    const lower = `lowerdir=${parents.map((parent) => `${parent}/fs`).join(":")}`;
    return [{
      type: "overlay",
      source: "overlay",
      options: [...writable, lower, ...(options ??= defaultOptions())],
    }];
  },
};
