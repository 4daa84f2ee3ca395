/**
 * Capability names, and the steps that reduce a process to its sets.
 *
 * @module
 */
import type { Capabilities } from "../../../api/oci/runtime_spec.ts";
import { Data, flag, type Program } from "../../../ffi/program/program.ts";

/** The kernel's capabilities in the order of their numbers (linux/capability.h). */
export const capabilityNames: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
];

const numberOf = new Map<string, number>(capabilityNames.map((name, index) => [name, index]));

/** The set as bits. Names that neither barge nor the kernel knows are left out, as runc does. */
export function capabilityBits(names: readonly string[] | undefined, lastCapability: number): bigint {
  let bits = 0n;
  for (const name of names ?? []) {
    const number = numberOf.get(name.toUpperCase());
    if (number !== undefined && number <= lastCapability) bits |= 1n << BigInt(number);
  }
  return bits;
}

/** Drops what the bounding set does not hold; before the user changes, since it needs CAP_SETPCAP. */
export function addBoundingSet(program: Program, capabilities: Capabilities, lastCapability: number): void {
  const kept = capabilityBits(capabilities.bounding, lastCapability);
  for (let number = 0; number <= lastCapability; number++) {
    if (kept >> BigInt(number) & 1n) continue;
    program.add({
      call: "prctl",
      args: [flag("PR_CAPBSET_DROP"), number, 0, 0, 0],
      does: `drop ${capabilityNames[number] ?? `capability ${number}`} from the bounding set`,
    });
  }
}

/**
 * Sets permitted, effective and inheritable sets, then the ambient ones. `kept` is a capability that the process has for
 * now besides, see {@link dropCapability}.
 */
export function addCapabilities(
  program: Program,
  capabilities: Capabilities,
  lastCapability: number,
  kept?: string,
): void {
  const does = "apply the capabilities";
  setCapabilities(program, kept === undefined ? capabilities : withCapability(capabilities, kept), lastCapability);
  const ambient = capabilityBits(capabilities.ambient, lastCapability);
  program.add({ call: "prctl", args: [flag("PR_CAP_AMBIENT"), flag("PR_CAP_AMBIENT_CLEAR_ALL"), 0, 0, 0], does });
  for (let number = 0; number <= lastCapability; number++) {
    if ((ambient >> BigInt(number) & 1n) === 0n) continue;
    program.add({
      call: "prctl",
      args: [flag("PR_CAP_AMBIENT"), flag("PR_CAP_AMBIENT_RAISE"), number, 0, 0],
      does,
      // Not both permitted and inheritable: the kernel refuses, and stock runtimes go on.
      allow: ["EPERM"],
    });
  }
}

/** Gives up the capability that {@link addCapabilities} has kept; nothing where it is the process's own. */
export function dropCapability(
  program: Program,
  capabilities: Capabilities,
  lastCapability: number,
  kept: string,
): void {
  const isOwn = (["effective", "permitted"] as const).every((set) =>
    (capabilityBits(capabilities[set], lastCapability) & capabilityBits([kept], lastCapability)) !== 0n
  );
  if (!isOwn) setCapabilities(program, capabilities, lastCapability);
}

function withCapability(capabilities: Capabilities, name: string): Capabilities {
  const { effective = [], permitted = [] } = capabilities;
  return { ...capabilities, effective: [...effective, name], permitted: [...permitted, name] };
}

/** capset(2), version 3. */
function setCapabilities(program: Program, capabilities: Capabilities, lastCapability: number): void {
  const header = new Uint8Array(8);
  new DataView(header.buffer).setUint32(0, 0x20080522, true);
  const sets = new Uint8Array(24);
  const view = new DataView(sets.buffer);
  const names = ["effective", "permitted", "inheritable"] as const;
  names.forEach((name, index) => {
    const bits = capabilityBits(capabilities[name], lastCapability);
    view.setUint32(index * 4, Number(bits & 0xffffffffn), true);
    view.setUint32(12 + index * 4, Number(bits >> 32n), true);
  });
  const shown = names.map((name) => `${name}=0x${capabilityBits(capabilities[name], lastCapability).toString(16)}`);
  program.add({
    call: "capset",
    args: [new Data(header, "{V3}"), new Data(sets, `{${shown.join(", ")}}`)],
    does: "apply the capabilities",
    errors: { EPERM: "unable to apply caps: operation not permitted" },
  });
}
