/**
 * Emits small static executables: one segment of code, one of data, nothing else (elf(5)).
 *
 * @module
 */
import type { Arch } from "../arch.ts";

/** EM_X86_64 and EM_AARCH64. */
const machines: Readonly<Record<Arch, number>> = { x86_64: 62, aarch64: 183 };

const headerBytes = 64;
const segmentBytes = 56;
const codeOffset = headerBytes + 2 * segmentBytes;
const base = 0x400000;
/** Both segments map the file's same page, so far apart that they never share one, also where pages have 64 KiB. */
const distance = 0x10000;
const [readable, writable, executable] = [4, 2, 1];

/** Where the code of every executable stands in memory. */
export const codeAddress = base + codeOffset;

/** Where the data of an executable with so many bytes of code stands in memory. */
export function dataAddress(codeLength: number): bigint {
  return BigInt(base + codeOffset + codeLength + distance);
}

/** What an executable consists of. Length of the code: a multiple of 8. */
export interface ElfParts {
  arch: Arch;
  code: Uint8Array;
  /** Offset of the first instruction in the code. */
  entry: number;
  /** Stands at {@link dataAddress} of the code's length; readable and writable. */
  data: Uint8Array;
}

/** The bytes of the executable file. */
export function emitElf({ arch, code, entry, data }: ElfParts): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(codeOffset + code.length + data.length);
  const view = new DataView(file.buffer);
  // e_ident: magic, 64 bits, little-endian, version 1, System V.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // e_type: ET_EXEC
  view.setUint16(18, machines[arch], true);
  view.setUint32(20, 1, true); // e_version
  view.setBigUint64(24, BigInt(base + codeOffset + entry), true); // e_entry
  view.setBigUint64(32, BigInt(headerBytes), true); // e_phoff
  view.setUint16(52, headerBytes, true); // e_ehsize
  view.setUint16(54, segmentBytes, true); // e_phentsize
  view.setUint16(56, 2, true); // e_phnum
  putSegment(view, headerBytes, readable | executable, 0, BigInt(base), codeOffset + code.length);
  const dataOffset = codeOffset + code.length;
  putSegment(view, headerBytes + segmentBytes, readable | writable, dataOffset, dataAddress(code.length), data.length);
  file.set(code, codeOffset);
  file.set(data, dataOffset);
  return file;
}

/** A PT_LOAD program header. */
function putSegment(view: DataView, at: number, access: number, offset: number, address: bigint, size: number): void {
  view.setUint32(at, 1, true); // p_type: PT_LOAD
  view.setUint32(at + 4, access, true); // p_flags
  view.setBigUint64(at + 8, BigInt(offset), true); // p_offset
  view.setBigUint64(at + 16, address, true); // p_vaddr
  view.setBigUint64(at + 24, address, true); // p_paddr
  view.setBigUint64(at + 32, BigInt(size), true); // p_filesz
  view.setBigUint64(at + 40, BigInt(size), true); // p_memsz
  view.setBigUint64(at + 48, BigInt(distance), true); // p_align
}
