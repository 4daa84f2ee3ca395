/**
 * `features`: what this runtime can do, as JSON (runtime-spec `features.md`).
 *
 * @module
 */
import { version } from "../../api/version.ts";
import { hookPlaces } from "../../shim/oci/hooks/hook_state.ts";
import { knownMountOptions } from "../../shim/oci/plan/mount_options.ts";
import { capabilityNames } from "../../shim/oci/plan/capabilities.ts";
import { namespaceFlags } from "../../shim/oci/plan/join.ts";
import { memoryPolicyFlags, memoryPolicyModes } from "../../shim/oci/plan/scheduling.ts";
import { knownActions, knownFlags } from "../../shim/oci/seccomp/action.ts";
import { knownArchitectures } from "../../shim/oci/seccomp/architecture.ts";
import { knownOperators } from "../../shim/oci/seccomp/condition.ts";
import { specVersion } from "../../shim/oci/spec/version.ts";

/** The JSON, indented by four spaces as runc prints it. */
export function features(): string {
  const seccompFlags = knownFlags();
  return `${
    JSON.stringify(
      {
        ociVersionMin: "1.0.0",
        ociVersionMax: specVersion,
        hooks: hookPlaces,
        mountOptions: knownMountOptions(),
        linux: {
          namespaces: Object.keys(namespaceFlags).toSorted(),
          capabilities: capabilityNames,
          cgroup: { v1: true, v2: true, systemd: true, systemdUser: false, rdma: true },
          seccomp: {
            enabled: true,
            actions: knownActions(),
            operators: knownOperators(),
            archs: knownArchitectures(),
            knownFlags: seccompFlags,
            supportedFlags: seccompFlags,
          },
          apparmor: { enabled: true },
          selinux: { enabled: true },
          intelRdt: { enabled: true, schemata: true, monitoring: true },
          memoryPolicy: { modes: memoryPolicyModes, flags: memoryPolicyFlags },
          mountExtensions: { idmap: { enabled: true } },
          netDevices: { enabled: true },
        },
        annotations: {
          "org.opencontainers.runc.version": `${version}+barge`,
          "org.opencontainers.runc.checkpoint.enabled": "true",
        },
        // Who does not trust the author of a spec has to take these out: they reach systemd, and criu.
        potentiallyUnsafeConfigAnnotations: ["org.systemd.property.", "org.criu.config"],
      },
      null,
      4,
    )
  }\n`;
}
