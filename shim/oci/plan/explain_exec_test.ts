import { deepStrictEqual as equal, match } from "node:assert/strict";
import { causeOfDenial, causeOfExecFailure, type SeenFile } from "./explain_exec.ts";

const seen = (text: string): SeenFile => ({
  head: new TextEncoder().encode(text),
  mode: 0o100755,
  onNoexec: false,
});

/** An ELF header with one program header, which names the loader. */
function elf(machine: number, loader: string, wide = true): SeenFile {
  const head = new Uint8Array(512);
  const view = new DataView(head.buffer);
  head.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(18, machine, true);
  const name = new TextEncoder().encode(loader + "\0");
  head.set(name, 300);
  if (wide) {
    view.setBigUint64(32, 64n, true);
    view.setUint16(54, 56, true);
    view.setUint16(56, 1, true);
    view.setUint32(64, 3, true);
    view.setBigUint64(64 + 8, 300n, true);
    view.setBigUint64(64 + 32, BigInt(name.length), true);
  } else {
    view.setUint32(28, 52, true);
    view.setUint16(42, 32, true);
    view.setUint16(44, 1, true);
    view.setUint32(52, 3, true);
    view.setUint32(52 + 4, 300, true);
    view.setUint32(52 + 16, name.length, true);
  }
  return { head, mode: 0o100755, onNoexec: false };
}

Deno.test("causeOfExecFailure() names the interpreter of a script, and a carriage return behind it", () => {
  match(causeOfExecFailure("ENOENT", seen("#!/bin/sh\r\n"), "x86_64")!, /carriage return, so that "\/bin\/sh\\r" is/);
  const cause = 'the interpreter "/opt/x" of its #! line does not exist in the container';
  equal(causeOfExecFailure("ENOENT", seen("#! /opt/x -e\nfoo"), "x86_64"), cause);
  equal(causeOfExecFailure("ENOEXEC", seen("#!\n"), "x86_64"), "its #! line names no interpreter");
});

Deno.test("causeOfExecFailure() names the dynamic loader of a program of 32 or 64 bits", () => {
  for (const wide of [true, false]) {
    const cause = causeOfExecFailure("ENOENT", elf(wide ? 62 : 3, "/lib/ld.so.2", wide), "x86_64");
    equal(cause, 'its dynamic loader "/lib/ld.so.2" does not exist in the container');
  }
});

Deno.test("causeOfExecFailure() names the machine that a program is for", () => {
  const cause = (machine: number) => causeOfExecFailure("ENOEXEC", elf(machine, "/l"), "x86_64");
  equal(cause(183), "it is a program for aarch64, and this machine is x86_64");
  equal(cause(999), "it is a program for machine 999, and this machine is x86_64");
  match(cause(62)!, /damaged/);
});

Deno.test("causeOfExecFailure() tells text from an empty file", () => {
  equal(causeOfExecFailure("ENOEXEC", seen(""), "x86_64"), "the file is empty");
  match(causeOfExecFailure("ENOEXEC", seen("echo hello, world\n"), "x86_64")!, /neither a program nor a script/);
});

Deno.test("causeOfExecFailure() reads nothing beyond what was read of a cut or hostile header", () => {
  const whole = elf(62, "/lib/ld.so.2");
  for (let length = 0; length < 330; length++) {
    const cause = causeOfExecFailure("ENOENT", { ...whole, head: whole.head.slice(0, length) }, "x86_64");
    equal(cause === undefined || /loader "\/lib\/ld.so.2"/.test(cause), true, `${length}: ${cause}`);
  }
  const hostile = elf(62, "/lib/ld.so.2");
  new DataView(hostile.head.buffer).setBigUint64(32, 0xffff_ffff_ffff_fff0n, true);
  equal(causeOfExecFailure("ENOENT", hostile, "x86_64"), undefined);
});

Deno.test("causeOfDenial() tells the mode from the mount and from what is no file", () => {
  const denial = (mode: number | undefined, onNoexec = false) => causeOfDenial({ mode, onNoexec });
  equal(denial(0o100644), "it is not executable: its mode is 0644");
  equal(denial(0o100755, true), "it is on a file system that is mounted noexec");
  equal(denial(0o100700), "its mode 0700 does not let the process's user execute it");
  equal(denial(0o040755), "it is a directory");
  match(denial(undefined)!, /may not be searched/);
});
