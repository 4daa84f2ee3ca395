/**
 * Runs a seccomp filter outside the kernel, to see what it answers.
 *
 * @module
 */
import { instructionSize } from "./assemble.ts";

/** What the kernel shows to a filter: `struct seccomp_data` of linux/seccomp.h. */
export interface SystemCall {
  readonly arch: number;
  readonly nr: number;
  /** Up to six; the others are 0. */
  readonly args?: readonly bigint[];
}

/** The filter's answer to the call. Throws `RangeError` for what the kernel would refuse to load. */
export function runFilter(program: Uint8Array, { arch, nr, args = [] }: SystemCall): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, nr, true);
  data.setUint32(4, arch, true);
  args.forEach((value, index) => data.setBigUint64(16 + 8 * index, value, true));
  return execute(program, data);
}

function execute(program: Uint8Array, data: DataView): number {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const length = program.byteLength / instructionSize;
  const memory = new Uint32Array(16);
  let [a, x] = [0, 0];
  // Every jump goes forward, so the loop ends.
  for (let pc = 0; pc < length; pc++) {
    const at = pc * instructionSize;
    const k = view.getUint32(at + 4, true);
    const jump = (taken: boolean) => pc += view.getUint8(at + (taken ? 2 : 3));
    const code = view.getUint16(at, true);
    switch (code) {
      case 0x20: // A = word of the data
        if (k % 4 !== 0) throw new RangeError(`instruction ${pc} loads from the odd offset ${k}`);
        a = data.getUint32(k, true);
        break;
      case 0x00: // A = k
        a = k;
        break;
      case 0x01: // X = k
        x = k;
        break;
      case 0x60: // A = memory
        a = memory[k]!;
        break;
      case 0x02: // memory = A
        memory[k] = a;
        break;
      case 0x07: // X = A
        x = a;
        break;
      case 0x87: // A = X
        a = x;
        break;
      case 0x54: // A &= k
        a = (a & k) >>> 0;
        break;
      case 0x05:
        pc += k;
        break;
      case 0x15:
        jump(a === k);
        break;
      case 0x25:
        jump(a > k);
        break;
      case 0x35:
        jump(a >= k);
        break;
      case 0x45:
        jump((a & k) !== 0);
        break;
      case 0x06:
        return k;
      default:
        throw new RangeError(`instruction ${pc} has the unknown code 0x${code.toString(16)}`);
    }
  }
  throw new RangeError("the program runs over its end");
}
