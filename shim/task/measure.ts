/**
 * Measurements of a container, as containerd's messages have them.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { Metrics as Metrics1 } from "../../api/gen/cgroups/v1/metrics.ts";
import { Metrics as Metrics2 } from "../../api/gen/cgroups/v2/metrics.ts";
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import { readControlIfThere } from "../oci/cgroup/control_file.ts";
import type { ContainerCgroups } from "./container_cgroups.ts";
import { measureVersion1 } from "./measure_v1.ts";
import { measureVersion2 } from "./measure_v2.ts";

/** Reads the kernel's counters. Throws `NotFound` where the cgroup has gone. */
export function measure(cgroups: ContainerCgroups): Any {
  const any = cgroups.directory(cgroups.version === 1 ? "memory" : "");
  if (any === undefined || readControlIfThere(`${any}/cgroup.procs`) === undefined) {
    throw new Failure("NotFound", "cgroup does not exist");
  }
  return cgroups.version === 1
    ? { typeUrl: "io.containerd.cgroups.v1.Metrics", value: Metrics1.encode(measureVersion1(cgroups)).finish() }
    : { typeUrl: "io.containerd.cgroups.v2.Metrics", value: Metrics2.encode(measureVersion2(any)).finish() };
}
