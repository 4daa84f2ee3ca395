/**
 * Test files of the source tree that also run in the virtual machine: on pure cgroup version 2, under systemd, on
 * Debian's own kernel, which is older than the usual test machine's.
 *
 * @module
 */
import { type Case, fileCase } from "../case.ts";

/** See the module. */
export const runtimeFiles: readonly Case[] = [
  fileCase({ path: "shim/oci/cgroup/cgroup_test.ts", seconds: 400, testsMin: 10 }),
];
