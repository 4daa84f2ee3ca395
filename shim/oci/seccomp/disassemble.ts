/**
 * A seccomp filter as text.
 *
 * @module
 */
import { codes, instructionSize } from "./assemble.ts";

const fields: Readonly<Record<number, string>> = { 0: "nr", 4: "arch", 8: "ip.low", 12: "ip.high" };

const actions: Readonly<Record<number, string>> = {
  0x0000: "KILL_THREAD",
  0x8000: "KILL_PROCESS",
  0x0003: "TRAP",
  0x0005: "ERRNO",
  0x7fc0: "NOTIFY",
  0x7ff0: "TRACE",
  0x7ffc: "LOG",
  0x7fff: "ALLOW",
};

/** One line for each instruction; jumps show the numbers of the lines where they go. */
export function disassemble(program: Uint8Array): string[] {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  return Array.from({ length: program.byteLength / instructionSize }, (_, line) => {
    const at = line * instructionSize;
    const target = (offset: number) => line + 1 + offset;
    const k = view.getUint32(at + 4, true);
    const code = view.getUint16(at, true);
    const text = describe(code, k, target(view.getUint8(at + 2)), target(view.getUint8(at + 3)), target(k));
    return `${String(line).padStart(4)}  ${text}`;
  });
}

function describe(code: number, k: number, yes: number, no: number, always: number): string {
  const hex = `0x${k.toString(16)}`;
  switch (code) {
    case codes.ld:
      return `load ${fields[k] ?? `arg${(k - 16) >> 3}.${k & 4 ? "high" : "low"}`}`;
    case codes.and:
      return `and ${hex}`;
    case codes.ja:
      return `goto ${always}`;
    case codes.jeq:
      return `if == ${hex} goto ${yes} else ${no}`;
    case codes.jgt:
      return `if > ${hex} goto ${yes} else ${no}`;
    case codes.jge:
      return `if >= ${hex} goto ${yes} else ${no}`;
    case codes.ret: {
      const name = actions[k >>> 16] ?? hex;
      return `return ${name}${(k & 0xffff) === 0 ? "" : ` ${k & 0xffff}`}`;
    }
    default:
      return `0x${code.toString(16)} ${hex}`;
  }
}
