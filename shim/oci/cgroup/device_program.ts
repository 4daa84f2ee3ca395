/**
 * Device policies in cgroup version 2: an eBPF program that the kernel runs for each use of a device
 * (BPF_PROG_TYPE_CGROUP_DEVICE; Linux: Documentation/bpf/prog_cgroup_device, uapi/linux/bpf.h `bpf_cgroup_dev_ctx`).
 *
 * @module
 */
import { type DevicePolicy, fullAccess } from "./device_rules.ts";

/** Operations: class, width and source of the operand, all in one byte. */
const op = {
  /** dst = *(u32 *)(src + offset) */
  load: 0x61,
  /** dst = (u32) immediate */
  set: 0xb4,
  /** dst = (u32) src */
  copy: 0xbc,
  and: 0x54,
  shiftRight: 0x74,
  /** if dst ≠ immediate, skip `offset` instructions */
  skipUnless: 0x55,
  /** if dst ≠ src, skip `offset` instructions */
  skipUnlessSame: 0x5d,
  /** skip `offset` instructions */
  skip: 0x05,
  exit: 0x95,
} as const;

const verdict = 0, scratch = 1, type = 2, wanted = 3, major = 4, minor = 5;

/** BPF_DEVCG_DEV_… */
const typeNumber = { b: 1, c: 2 } as const;

const instructionSize = 8;

/** A list of instructions of eight bytes each, little-endian as both architectures are. */
class Assembly {
  readonly #code: [opcode: number, dst: number, src: number, offset: number, immediate: number][] = [];

  get length(): number {
    return this.#code.length;
  }

  add(opcode: number, dst: number, { src = 0, offset = 0, immediate = 0 } = {}): void {
    this.#code.push([opcode, dst, src, offset, immediate]);
  }

  /** Lets the instruction at `index` skip to what is added next. */
  skipToHere(index: number): void {
    this.#code[index]![3] = this.#code.length - index - 1;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#code.length * instructionSize);
    const view = new DataView(bytes.buffer);
    this.#code.forEach(([opcode, dst, src, offset, immediate], index) => {
      const at = index * instructionSize;
      view.setUint8(at, opcode);
      view.setUint8(at + 1, src << 4 | dst);
      view.setInt16(at + 2, offset, true);
      view.setInt32(at + 4, immediate, true);
    });
    return bytes;
  }
}

/** The policy as instructions. The program answers 1 for what is allowed, else 0 (the caller gets EPERM). */
export function deviceProgram(policy: DevicePolicy): Uint8Array<ArrayBuffer> {
  const code = new Assembly();
  // The context (in register 1): type in the low and wanted access in the high half of a word, then major, then minor.
  code.add(op.load, type, { src: 1 });
  code.add(op.copy, wanted, { src: type });
  code.add(op.and, type, { immediate: 0xffff });
  code.add(op.shiftRight, wanted, { immediate: 16 });
  code.add(op.load, major, { src: 1, offset: 4 });
  code.add(op.load, minor, { src: 1, offset: 8 });
  for (const exception of policy.exceptions) {
    const skips: number[] = [];
    const unless = (register: number, immediate: number) => {
      skips.push(code.length);
      code.add(op.skipUnless, register, { immediate });
    };
    unless(type, typeNumber[exception.type]);
    if (exception.access !== fullAccess) accessTest(code, skips, policy.allow, exception.access);
    if (exception.major !== undefined) unless(major, exception.major);
    if (exception.minor !== undefined) unless(minor, exception.minor);
    answer(code, !policy.allow);
    for (const index of skips) code.skipToHere(index);
  }
  answer(code, policy.allow);
  return code.bytes();
}

/**
 * An exception that allows must allow all that is wanted at once; one that denies need deny only a part of it: a device
 * that must not be written must not be opened for reading and writing.
 */
function accessTest(code: Assembly, skips: number[], denies: boolean, bits: number): void {
  code.add(op.copy, scratch, { src: wanted });
  code.add(op.and, scratch, { immediate: bits });
  if (denies) {
    // Skip the skip where some bit is set.
    code.add(op.skipUnless, scratch, { offset: 1 });
    skips.push(code.length);
    code.add(op.skip, 0);
  } else {
    skips.push(code.length);
    code.add(op.skipUnlessSame, scratch, { src: wanted });
  }
}

function answer(code: Assembly, allowed: boolean): void {
  code.add(op.set, verdict, { immediate: allowed ? 1 : 0 });
  code.add(op.exit, 0);
}
