/**
 * A syscall program as an executable file: the interpreter and the program's bytes.
 *
 * @module
 */
import type { Arch } from "../arch.ts";
import { machineCode } from "../gen/machine_code.ts";
import { Assembly } from "../program/assemble.ts";
import type { Program } from "../program/program.ts";
import { dataAddress, emitElf } from "./elf.ts";

/** The static executable that performs the program. The program's last step must not return. */
export function programElf(program: Program, arch: Arch): Uint8Array<ArrayBuffer> {
  const { hex, start } = machineCode[arch];
  const code = Uint8Array.fromHex(hex);
  const data = new Assembly(program, arch).at(dataAddress(code.length));
  return emitElf({ arch, code, entry: start, data });
}
