/**
 * The host's device nodes, for `--privileged`.
 *
 * @module
 */
import type { Device } from "../../api/oci/runtime_spec.ts";

/** Directories of other file systems, and of other containers' managers (moby `devices.GetDevices`). */
const skipped = new Set(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"]);

/** The container's own console takes the place of the host's. */
const consoleName = "console";

/** Character and block devices below the directory, links left out; `within` is their directory in the container. */
export function hostDevices(directory = "/dev", within = "/dev"): Device[] {
  const devices: Device[] = [];
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    if (skipped.has(name) || name === consoleName) continue;
    const path = `${directory}/${name}`;
    if (isDirectory) {
      devices.push(...hostDevices(path, `${within}/${name}`));
      continue;
    }
    const device = readDevice(path);
    if (device !== undefined) devices.push({ ...device, path: `${within}/${name}` });
  }
  return devices;
}

function readDevice(path: string): Device | undefined {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    // Devices come and go while the directory is read.
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  if (!info.isCharDevice && !info.isBlockDevice) return undefined;
  const { major, minor } = deviceNumbers(info.rdev ?? 0);
  return {
    type: info.isBlockDevice ? "b" : "c",
    path,
    major,
    minor,
    fileMode: (info.mode ?? 0) & 0o7777,
    uid: info.uid ?? 0,
    gid: info.gid ?? 0,
  };
}

/** glibc's encoding of a device number (makedev(3)); 64 bits, of which a double holds all that exist. */
function deviceNumbers(rdev: number): { major: number; minor: number } {
  const low = rdev % 2 ** 32;
  const high = Math.floor(rdev / 2 ** 32);
  return {
    major: ((low >>> 8) & 0xfff) | (high & 0xffff_f000),
    minor: (low & 0xff) | ((low >>> 12) & 0xf_ff00),
  };
}
