/**
 * Brings a policy of devices to the kernel.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import {
  attachDeviceProgram,
  attachedDevicePrograms,
  detachDeviceProgram,
  loadDeviceProgram,
} from "../../../ffi/bpf.ts";
import { flags } from "../../../ffi/constants.ts";
import { type Descriptor, openFile } from "../../../ffi/descriptor.ts";
import { isErrno, SyscallError } from "../../../ffi/errno.ts";
import { readControl, readControlIfThere, writeControl } from "./control_file.ts";
import { deviceLines } from "./device_lines.ts";
import { deviceProgram } from "./device_program.ts";
import { allowsEverything, type DevicePolicy } from "./device_rules.ts";

/**
 * Writes what the policy needs to a directory of the version 1 controller `devices`.
 *
 * Throws `PermissionDenied` where it allows more than the parent cgroup. In a user namespace nothing is written, as the
 * kernel admits no changes there and the mount flag nodev does the work.
 */
export function filterByList(directory: string, policy: DevicePolicy): void {
  for (const { file, line } of deviceLines(policy, readControl(`${directory}/devices.list`))) {
    try {
      writeControl(`${directory}/${file}`, line);
    } catch (error) {
      if (isErrno(error, "EPERM") && inUserNamespace()) return;
      if (!(error instanceof SyscallError)) throw error;
      const reason = error.code === "EPERM"
        ? "the parent cgroup does not allow it, or this cgroup has children"
        : error.message;
      throw new Failure(
        "PermissionDenied",
        `cannot write the device rule "${line}" to ${directory}/${file}: ${reason}`,
        {
          cause: error,
        },
      );
    }
  }
}

/**
 * Attaches the policy to a directory of version 2. Programs that are attached already are replaced, unless the directory
 * is `fresh`, when there can be none.
 *
 * Throws `PermissionDenied` where the kernel refuses; in a user namespace that is passed over, as above.
 */
export function filterByProgram(directory: string, policy: DevicePolicy, fresh: boolean): void {
  if (fresh && allowsEverything(policy)) return;
  const old: Descriptor[] = [];
  try {
    using cgroup = openFile(directory, flags("O_RDONLY", "O_DIRECTORY"));
    if (!fresh) old.push(...attachedDevicePrograms(cgroup.number));
    if (!allowsEverything(policy)) {
      using program = loadDeviceProgram(deviceProgram(policy));
      const replaced = attach(cgroup.number, program.number, old);
      if (replaced) return;
    }
    for (const { number } of old) detachDeviceProgram(cgroup.number, number);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (isErrno(error, "EPERM") && inUserNamespace()) return;
    throw new Failure("PermissionDenied", `cannot attach the device filter to ${directory}: ${error.message}`, {
      cause: error,
    });
  } finally {
    for (const program of old) program.close();
  }
}

/** Whether the new program took the place of a single old one; before Linux 5.6 it only comes beside it (EINVAL). */
function attach(cgroup: number, program: number, old: readonly Descriptor[]): boolean {
  if (old.length === 1) {
    try {
      attachDeviceProgram(cgroup, program, old[0]!.number);
      return true;
    } catch (error) {
      if (!isErrno(error, "EINVAL")) throw error;
    }
  }
  attachDeviceProgram(cgroup, program);
  return false;
}

/** Whether this process is in a user namespace below the first: the first one's map is the identity of all ids. */
function inUserNamespace(): boolean {
  return !/^\s*0\s+0\s+4294967295$/.test(readControlIfThere("/proc/self/uid_map") ?? "");
}
