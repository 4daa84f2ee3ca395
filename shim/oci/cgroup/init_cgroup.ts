/**
 * Where a container's first process has gone within its own cgroups.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { CgroupRecord } from "./cgroup.ts";

/**
 * Directory of the cgroup of version 2 that the process is in, which is the container's own or lies below it.
 *
 * A container that divides its cgroup (systemd, Docker in it) has its processes in inner ones: the kernel takes no
 * process in the outer one then (EBUSY, "no internal processes" in admin-guide/cgroup-v2.rst).
 *
 * Throws `FailedPrecondition` where the process is elsewhere: nothing is to run outside of the container's limits.
 */
export function cgroupOfInit(record: CgroupRecord, procCgroup: string): string {
  const place = record.find(({ version }) => version === 2);
  const path = /^0::(\/.*)$/m.exec(procCgroup)?.[1];
  const found = `${place?.mountpoint}${path === "/" ? "" : path}`;
  if (place !== undefined && path !== undefined && `${found}/`.startsWith(`${place.path}/`)) return found;
  throw new Failure(
    "FailedPrecondition",
    `the container's first process is in the cgroup "${path}": want one in "${place?.path}"`,
  );
}
