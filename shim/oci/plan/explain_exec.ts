/**
 * Why a file cannot be executed: the kernel gives one number for many causes, and what the file looks like tells them
 * apart (execve(2), elf(5)).
 *
 * @module
 */
import type { Arch } from "../../../ffi/arch.ts";

/** What a process has seen of the file that it could not execute. */
export interface SeenFile {
  /** Its first bytes; the program headers and the interpreter's name stand there. */
  readonly head: Uint8Array;
  /** `st_mode`, where it could be had. */
  readonly mode: number | undefined;
  /** Whether it is on a mount that forbids execution. */
  readonly onNoexec: boolean;
}

/** Names of the machines (`e_machine`) that images are commonly built for. */
const machines: Readonly<Record<number, string>> = {
  3: "x86",
  20: "powerpc",
  21: "ppc64",
  22: "s390x",
  40: "arm",
  62: "x86_64",
  183: "aarch64",
  243: "riscv",
  258: "loongarch",
};

/** What machines an architecture executes: its 32-bit sibling too, where the kernel has that. */
const executed: Readonly<Record<Arch, readonly number[]>> = { x86_64: [62, 3], aarch64: [183, 40] };

const decoder = new TextDecoder();

/**
 * Half a sentence on the cause of a failed `execve`, undefined where nothing is known. `code` is the kernel's error, such
 * as `ENOENT` though the file is there.
 */
export function causeOfExecFailure(code: string, file: SeenFile, arch: Arch): string | undefined {
  if (code === "EACCES") return causeOfDenial(file);
  const { head } = file;
  if (head.length === 0) return code === "ENOEXEC" ? "the file is empty" : undefined;
  const line = interpreterLine(head);
  if (line !== undefined) return causeInScript(code, line);
  if (!isElf(head)) {
    return code === "ENOEXEC" ? "the file is neither a program nor a script with a #! line at its start" : undefined;
  }
  return causeInElf(code, head, arch);
}

/** Half a sentence on why execution is denied; undefined where the file itself does not tell. */
export function causeOfDenial({ mode, onNoexec }: Pick<SeenFile, "mode" | "onNoexec">): string | undefined {
  if (mode === undefined) return "a directory on the way to it may not be searched by the process's user";
  const types: Readonly<Record<number, string>> = {
    0o040000: "it is a directory",
    0o010000: "it is a fifo, not a file",
    0o020000: "it is a device, not a file",
    0o060000: "it is a device, not a file",
    0o140000: "it is a socket, not a file",
  };
  const type = types[mode & 0o170000];
  if (type !== undefined) return type;
  const bits = (mode & 0o7777).toString(8).padStart(4, "0");
  if ((mode & 0o111) === 0) return `it is not executable: its mode is ${bits}`;
  if (onNoexec) return "it is on a file system that is mounted noexec";
  return `its mode ${bits} does not let the process's user execute it`;
}

/** The interpreter that the first line names, with whatever stands at the line's end; undefined without `#!`. */
function interpreterLine(head: Uint8Array): string | undefined {
  if (head[0] !== 0x23 || head[1] !== 0x21) return undefined;
  const end = head.indexOf(0x0a);
  return decoder.decode(head.subarray(2, end < 0 ? Math.min(head.length, 256) : end));
}

function causeInScript(code: string, line: string): string | undefined {
  const interpreter = line.replace(/\r$/, "").trim().split(/[ \t]/)[0] ?? "";
  if (interpreter === "") return "its #! line names no interpreter";
  const name = JSON.stringify(interpreter);
  if (code === "ENOENT" && line.endsWith("\r")) {
    return `its #! line ends with a carriage return, so that ${JSON.stringify(line.trimStart())} is looked for: ` +
      "save the file with line ends of Unix";
  }
  if (code === "ENOENT") return `the interpreter ${name} of its #! line does not exist in the container`;
  if (code === "ENOEXEC") return `the interpreter ${name} of its #! line cannot be executed on this machine`;
  return undefined;
}

function isElf(head: Uint8Array): boolean {
  return head.length >= 20 && decoder.decode(head.subarray(1, 4)) === "ELF" && head[0] === 0x7f;
}

function causeInElf(code: string, head: Uint8Array, arch: Arch): string | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  // EI_DATA: 1 is little-endian.
  const little = head[5] === 1;
  const machine = view.getUint16(18, little);
  if (code === "ENOEXEC") {
    if (executed[arch].includes(machine) && little) {
      return "it is a damaged program, or of a kind that this kernel lacks";
    }
    return `it is a program for ${machines[machine] ?? `machine ${machine}`}, and this machine is ${arch}`;
  }
  if (code !== "ENOENT") return undefined;
  const loader = loaderOf(view, little);
  return loader === undefined
    ? undefined
    : `its dynamic loader ${JSON.stringify(loader)} does not exist in the container`;
}

/** The program interpreter (PT_INTERP), where it lies within what was read. */
function loaderOf(view: DataView, little: boolean): string | undefined {
  const wide = view.getUint8(4) === 2;
  const at = (offset: number, bytes: 2 | 4 | 8): number => {
    if (offset + bytes > view.byteLength) return -1;
    if (bytes === 8) return Number(view.getBigUint64(offset, little));
    return bytes === 4 ? view.getUint32(offset, little) : view.getUint16(offset, little);
  };
  const [first, size, count] = wide ? [at(32, 8), at(54, 2), at(56, 2)] : [at(28, 4), at(42, 2), at(44, 2)];
  for (let index = 0; index < Math.min(count, 64); index++) {
    const header = first + index * size;
    if (header < 0 || at(header, 4) !== 3) continue;
    const offset = wide ? at(header + 8, 8) : at(header + 4, 4);
    const length = wide ? at(header + 32, 8) : at(header + 16, 4);
    if (offset < 0 || length < 2 || offset + length > view.byteLength) return undefined;
    return decoder.decode(new Uint8Array(view.buffer, view.byteOffset + offset, length - 1));
  }
  return undefined;
}
