/**
 * Writes settings to a cgroup.
 *
 * @module
 */
import { type Code, Failure } from "../../../api/errors.ts";
import { type Errno, isErrno, SyscallError } from "../../../ffi/errno.ts";
import { readControl, readControlIfThere, writeControl } from "./control_file.ts";
import type { Setting } from "./settings.ts";

/**
 * Writes the settings in order. `directoryOf` gives the directory of a setting's controller.
 *
 * Throws {@link Failure} that names the property, its value, and why the kernel refused it.
 */
export function applySettings(settings: readonly Setting[], directoryOf: (controller: string) => string): void {
  let deferred: Setting[] = [];
  const retry = () => {
    const again = deferred;
    deferred = [];
    for (const setting of again.toReversed()) applySetting(setting, directoryOf(setting.controller));
  };
  for (const setting of settings) {
    try {
      applySetting(setting, directoryOf(setting.controller));
    } catch (error) {
      if (!setting.retry || !(error instanceof Failure && isErrno(error.cause, "EINVAL"))) throw error;
      deferred.push(setting);
    }
    if (!setting.retry) retry();
  }
  retry();
}

function applySetting(setting: Setting, directory: string): void {
  const { file, value, allow = [], orElse } = setting;
  try {
    writeControl(`${directory}/${file}`, value);
    if (setting.readBack) checkBounds(setting, readControl(`${directory}/${file}`).trim());
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (isErrno(error, "ENOENT") && orElse !== undefined) {
      const { orElse: _, ...rest } = setting;
      applySetting({ ...rest, ...orElse }, directory);
    } else if (!isErrno(error, ...allow)) {
      throw refusal(setting, directory, error);
    }
  }
}

function checkBounds({ property, value }: Setting, actual: string): void {
  if (actual === value) return;
  const bound = Number(actual) < Number(value) ? "maximum" : "minimum";
  throw new Failure("OutOfRange", `cannot set ${property} to ${value}: the ${bound} is ${actual}`);
}

const codes: Partial<Record<Errno, Code>> = {
  EINVAL: "InvalidArgument",
  ERANGE: "InvalidArgument",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied",
};

function refusal({ property, file, value }: Setting, directory: string, error: SyscallError): Failure {
  if (error.code === "EBUSY" && file === "memory.limit_in_bytes") {
    const usage = readControlIfThere(`${directory}/memory.usage_in_bytes`);
    const peak = readControlIfThere(`${directory}/memory.max_usage_in_bytes`);
    const message = `unable to set memory limit to ${value} (current usage: ${usage}, peak usage: ${peak})`;
    return new Failure("FailedPrecondition", message, { cause: error });
  }
  if (error.code === "ENOENT") {
    const message = `cannot set ${property} to "${value}": this kernel has no "${file}" in ${directory}`;
    return new Failure("FailedPrecondition", message, { cause: error });
  }
  // The names of the table's errors are the only ones looked up.
  const code = codes[error.code as Errno] ?? "FailedPrecondition";
  return new Failure(code, `cannot set ${property} to "${value}": ${error.message}`, { cause: error });
}
