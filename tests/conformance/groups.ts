/**
 * All cases, by what they are about.
 *
 * @module
 */
import type { Case } from "./case.ts";
import { badCases } from "./cases/bad.ts";
import { cgroupCases } from "./cases/cgroups.ts";
import { execCases } from "./cases/exec.ts";
import { hookCases } from "./cases/hooks.ts";
import { lifeCases } from "./cases/life.ts";
import { mountCases } from "./cases/mounts.ts";
import { namespaceCases } from "./cases/namespaces.ts";
import { outputCases } from "./cases/output.ts";
import { deviceCases, pathCases, sysctlCases } from "./cases/paths.ts";
import { processCases } from "./cases/process.ts";
import { seccompCases } from "./cases/seccomp.ts";

/** Group → its cases. */
export const groups: Readonly<Record<string, readonly Case[]>> = {
  process: processCases,
  namespaces: namespaceCases,
  mounts: mountCases,
  paths: pathCases,
  devices: deviceCases,
  sysctl: sysctlCases,
  seccomp: seccompCases,
  cgroups: cgroupCases,
  life: lifeCases,
  output: outputCases,
  exec: execCases,
  hooks: hookCases,
  "bad input": badCases,
};
