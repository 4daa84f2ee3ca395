/**
 * bpf(2) for programs of control groups: loading, attaching, asking what is attached.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor } from "./descriptor.ts";
import { isErrno, SyscallError } from "./errno.ts";
import { call } from "./syscall.ts";

/** Numbers of uapi/linux/bpf.h; a test compares them with the header. */
export const bpfNumbers = {
  BPF_PROG_LOAD: 5,
  BPF_PROG_ATTACH: 8,
  BPF_PROG_DETACH: 9,
  BPF_PROG_GET_FD_BY_ID: 13,
  BPF_PROG_QUERY: 16,
  BPF_PROG_TYPE_CGROUP_DEVICE: 15,
  BPF_CGROUP_DEVICE: 6,
  BPF_F_ALLOW_MULTI: 2,
  BPF_F_REPLACE: 4,
} as const;

/** Offsets in `union bpf_attr`; a test compares them with the header. */
export const bpfOffsets = {
  prog_type: 0,
  insn_cnt: 4,
  insns: 8,
  license: 16,
  log_level: 24,
  log_size: 28,
  log_buf: 32,
  prog_name: 48,
  target_fd: 0,
  attach_bpf_fd: 4,
  attach_type: 8,
  attach_flags: 12,
  replace_bpf_fd: 16,
  prog_id: 0,
  "query.attach_type": 4,
  "query.prog_ids": 16,
  "query.prog_cnt": 24,
} as const;

/** Enough for every field used here. The kernel takes any size whose unknown rest is zero. */
const attributeSize = 64;

type Command =
  | "BPF_PROG_LOAD"
  | "BPF_PROG_ATTACH"
  | "BPF_PROG_DETACH"
  | "BPF_PROG_GET_FD_BY_ID"
  | "BPF_PROG_QUERY";

/** Most programs that one query tells of; the kernel's own limit of programs in one cgroup. */
const programsMax = 64;

/** How often a load that a signal interrupted is repeated, as libbpf and runc do. */
const loadsMax = 30;

class Attributes {
  readonly bytes = new Uint8Array(attributeSize);
  readonly #view = new DataView(this.bytes.buffer);
  /** What is pointed to, so that it lives as long as these attributes. */
  readonly #kept: ArrayBufferView[] = [];

  number(field: keyof typeof bpfOffsets, value: number): this {
    this.#view.setUint32(bpfOffsets[field], value, true);
    return this;
  }

  pointer(field: keyof typeof bpfOffsets, to: ArrayBufferView<ArrayBuffer>): this {
    this.#kept.push(to);
    this.#view.setBigUint64(bpfOffsets[field], Deno.UnsafePointer.value(Deno.UnsafePointer.of(to)), true);
    return this;
  }

  read(field: keyof typeof bpfOffsets): number {
    return this.#view.getUint32(bpfOffsets[field], true);
  }

  perform(command: Command): number {
    try {
      return call("bpf", bpfNumbers[command], this.bytes, attributeSize);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      throw new SyscallError(`bpf(${command})`, error.errno);
    }
  }
}

/**
 * Loads a program of type BPF_PROG_TYPE_CGROUP_DEVICE. It lives as long as the descriptor or an attachment does.
 *
 * `code` is a list of 8-byte instructions. Throws {@link SyscallError}; `EINVAL` and `EACCES` are the verifier's refusal,
 * `EPERM` a missing CAP_SYS_ADMIN or CAP_BPF, or, before Linux 5.11, too small an RLIMIT_MEMLOCK that could not be raised.
 */
export function loadDeviceProgram(code: Uint8Array<ArrayBuffer>): Descriptor {
  const attributes = new Attributes()
    .number("prog_type", bpfNumbers.BPF_PROG_TYPE_CGROUP_DEVICE)
    .number("insn_cnt", code.length / 8)
    .pointer("insns", code)
    // Also runc's: a licence of one's own choosing would only matter for helper functions, and there are none.
    .pointer("license", new TextEncoder().encode("Apache\0"));
  attributes.bytes.set(new TextEncoder().encode("barge_devices"), bpfOffsets.prog_name);
  for (let load = 1;; load++) {
    try {
      return new Descriptor(attributes.perform("BPF_PROG_LOAD"));
    } catch (error) {
      if (isErrno(error, "EPERM")) {
        return withoutLockLimit(() => new Descriptor(attributes.perform("BPF_PROG_LOAD")), error);
      }
      if (!isErrno(error, "EAGAIN") || load === loadsMax) throw error;
    }
  }
}

/**
 * Runs `body` with RLIMIT_MEMLOCK raised, which programs were charged to before Linux 5.11; throws `refused` where it
 * cannot be raised. The old limit is put back: containers inherit it.
 */
function withoutLockLimit<T>(body: () => T, refused: SyscallError): T {
  const infinity = 0xffff_ffff_ffff_ffffn;
  const raised = new BigUint64Array([infinity, infinity]);
  const before = new BigUint64Array(2);
  const set = (limit: BigUint64Array<ArrayBuffer>, old: BigUint64Array<ArrayBuffer> | 0) =>
    call("prlimit64", 0, flags("RLIMIT_MEMLOCK"), limit, old);
  try {
    set(raised, before);
  } catch {
    throw refused;
  }
  try {
    return body();
  } finally {
    set(before, 0);
  }
}

/**
 * Attaches a device program to the cgroup (version 2) that `cgroup` is an open directory of, beside others that are there
 * and those of its parents: a device may be used where all of them allow it. With `replaced` it takes that one's place in
 * one step (Linux 5.6). Throws {@link SyscallError}; `EPERM` where a parent's program admits no other.
 */
export function attachDeviceProgram(cgroup: number, program: number, replaced?: number): void {
  const { BPF_F_ALLOW_MULTI, BPF_F_REPLACE, BPF_CGROUP_DEVICE } = bpfNumbers;
  new Attributes()
    .number("target_fd", cgroup)
    .number("attach_bpf_fd", program)
    .number("attach_type", BPF_CGROUP_DEVICE)
    .number("attach_flags", BPF_F_ALLOW_MULTI | (replaced === undefined ? 0 : BPF_F_REPLACE))
    .number("replace_bpf_fd", replaced ?? 0)
    .perform("BPF_PROG_ATTACH");
}

/** Takes an attached device program away from the cgroup. Throws {@link SyscallError} `ENOENT` where it is not there. */
export function detachDeviceProgram(cgroup: number, program: number): void {
  new Attributes()
    .number("target_fd", cgroup)
    .number("attach_bpf_fd", program)
    .number("attach_type", bpfNumbers.BPF_CGROUP_DEVICE)
    .perform("BPF_PROG_DETACH");
}

/** The device programs attached to this very cgroup, as descriptors that the caller closes. Throws {@link SyscallError}. */
export function attachedDevicePrograms(cgroup: number): Descriptor[] {
  const ids = new Uint32Array(programsMax);
  const query = new Attributes()
    .number("target_fd", cgroup)
    .number("query.attach_type", bpfNumbers.BPF_CGROUP_DEVICE)
    .pointer("query.prog_ids", ids)
    .number("query.prog_cnt", programsMax);
  query.perform("BPF_PROG_QUERY");
  const programs: Descriptor[] = [];
  for (const id of ids.subarray(0, query.read("query.prog_cnt"))) {
    try {
      programs.push(new Descriptor(new Attributes().number("prog_id", id).perform("BPF_PROG_GET_FD_BY_ID")));
    } catch (error) {
      // Detached by its owner since the query.
      if (!isErrno(error, "ENOENT")) throw error;
    }
  }
  return programs;
}
