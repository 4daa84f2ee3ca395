import assert from "node:assert/strict";
import { needing } from "../../tests/peers.ts";
import { generateMachineCode } from "../../tools/generate/machine_code.ts";
import { type Arch, hostArch } from "../arch.ts";
import { programElf } from "../elf/program_elf.ts";
import { type ExitStatus, waitForChild } from "../process.ts";
import { errnoNumber } from "../errno.ts";
import { Reactor } from "../reactor.ts";
import { Assembly } from "./assemble.ts";
import { loadInterpreter, Mapping } from "./memory.ts";
import { Data, flag, Label, Program, returnStep, room, type Slot, words } from "./program.ts";
import { type Child, ChildProgram, spawn } from "./spawn.ts";

/** Performs a program in this very process; a failing step would end it. */
function runHere(program: Program): { result: bigint; view: DataView; assembly: Assembly; arena: Mapping } {
  program.operations.push(returnStep);
  const assembly = new Assembly(program, hostArch);
  const arena = new Mapping(assembly.size);
  arena.bytes.set(assembly.at(arena.address));
  const result = loadInterpreter().run(arena.address);
  return { result, view: new DataView(arena.bytes.buffer), assembly, arena };
}

/** Performs a program in a child and waits for its end. */
async function runInChild(
  build: (program: ChildProgram) => void,
  look: (child: Child, status: ExitStatus) => void,
): Promise<void> {
  const program = new ChildProgram([]);
  build(program);
  using reactor = new Reactor();
  using child = spawn(program, new Map());
  look(child, await waitForChild(reactor, child.pidfd));
}

function exit(program: Program, code: number | Slot): void {
  program.add({ call: "exit_group", args: [code], does: "exit" });
}

Deno.test("run() hands the result of a step to later ones", () => {
  const program = new Program();
  const fd = program.result("fd", { call: "memfd_create", args: ["barge-test", 0], does: "make a file" });
  program.add({ call: "ftruncate", args: [fd, 123], does: "grow it", expect: 0 });
  program.add({ call: "lseek", args: [fd, 0, 2], does: "measure it", expect: 123 });
  program.add({ call: "close", args: [fd], does: "close it", expect: 0 });
  program.add({ call: "fcntl", args: [fd, flag("F_GETFL")], does: "use it", allow: ["EBADF"] });
  const { result, view, assembly, arena } = runHere(program);
  assert.equal(result, -9n); // EBADF: the step before the return has the last word.
  assert.ok(view.getBigInt64(assembly.offsetOf(fd), true) > 2n);
  arena.close();
});

Deno.test("run() takes each of the six arguments from memory", () => {
  const program = new Program();
  const file = program.result("fd", { call: "memfd_create", args: ["barge-test", 0], does: "make a file" });
  program.add({ call: "ftruncate", args: [file, 8192], does: "grow it" });
  const number = (name: string, value: number): Slot =>
    program.result(name, { call: "lseek", args: [file, value, 0], does: `make ${value}` });
  const [address, size, protection, mapFlags, offset] = [
    number("address", 0),
    number("size", 4096),
    number("protection", 1),
    number("flags", 2),
    number("offset", 4096),
  ];
  const args = [address, size, protection, mapFlags, file, offset];
  const mapped = program.result("mapped", { call: "mmap", args, does: "map it" });
  program.add({ call: "munmap", args: [mapped, size], does: "unmap it", expect: 0 });
  program.add({ call: "close", args: [file], does: "close it" });
  const { result, view, assembly, arena } = runHere(program);
  assert.equal(result, 0n);
  assert.equal(view.getBigUint64(assembly.offsetOf(mapped), true) % 4096n, 0n);
  arena.close();
});

Deno.test("run() goes elsewhere after an allowed error and on after success", () => {
  for (const [path, expected] of [["/", 1], ["/nowhere/at/all", 2]] as const) {
    const program = new Program();
    const [missing, end] = [new Label("missing"), new Label("end")];
    program.add({
      call: "faccessat",
      args: [flag("AT_FDCWD"), path, 0],
      does: "look",
      allow: ["ENOENT"],
      otherwise: missing,
    });
    const answer = room(8, "[]");
    const set = (value: number, then?: Label) =>
      program.add({
        call: "fcntl", // F_GETFD of standard input gives 0 or 1: only its place matters, see `into`.
        args: [0, 1],
        does: "answer",
        allow: "any",
        into: { data: answer, offset: value },
        ...(then === undefined ? {} : { then }),
      });
    set(0, end);
    program.bind(missing);
    set(0);
    program.add({ call: "getpid", args: [], does: "answer", into: { data: answer, offset: 0 } });
    program.bind(end);
    const { view, assembly, arena } = runHere(program);
    const pid = view.getBigInt64(assembly.offsetOf(answer), true);
    assert.equal(pid === BigInt(Deno.pid) ? 2 : 1, expected);
    arena.close();
  }
});

Deno.test("run() branches on one result only", () => {
  for (const [on, skipped] of [[0, true], [1, false]] as const) {
    const program = new Program();
    const end = new Label("end");
    program.add({ call: "lseek", args: [-100, 0, 0], does: "nothing", allow: "any" });
    program.add({ call: "umask", args: [0], does: "be sure", into: { data: room(8, "[]"), offset: 0 } });
    program.add({ call: "close_range", args: [0x7ffffff0, 0x7ffffff1, 0], does: "give 0", branch: { on, to: end } });
    const slot = program.result("pid", { call: "getpid", args: [], does: "be skipped" });
    program.bind(end);
    const mask = Deno.umask();
    const { view, assembly, arena } = runHere(program);
    Deno.umask(mask);
    assert.equal(view.getBigInt64(assembly.offsetOf(slot), true) === 0n, skipped);
    arena.close();
  }
});

Deno.test("run() writes a result into data that a later step points to", async () => {
  const program = new Program();
  const data = new Data(new TextEncoder().encode("12345678"), '"12345678"');
  const vector = words([data, 0]);
  const ends = room(8, "[]");
  program.add({ call: "pipe2", args: [ends, 0], does: "make a pipe" });
  program.add({
    call: "lseek",
    args: [program.result("fd", { call: "memfd_create", args: ["barge-test", 0], does: "make a file" }), 5, 0],
    does: "give 5",
    into: { data: vector, offset: 8 },
  });
  const { view, assembly, arena } = runHere(program);
  const offset = assembly.offsetOf(vector);
  assert.equal(view.getBigUint64(offset, true), arena.address + BigInt(assembly.offsetOf(data)));
  assert.equal(view.getBigUint64(offset + 8, true), 5n);
  const closing = new Program();
  for (const fd of [view.getInt32(assembly.offsetOf(ends), true), view.getInt32(assembly.offsetOf(ends) + 4, true)]) {
    closing.add({ call: "close", args: [fd], does: "close" });
  }
  runHere(closing).arena.close();
  arena.close();
  await Promise.resolve();
});

Deno.test("run() does not record a quiet step as the one under way", () => {
  for (const quiet of [true, false]) {
    const program = new Program();
    program.add({ call: "getpid", args: [], does: "first" });
    program.add({ call: "getpid", args: [], does: "second", quiet });
    const { view, arena } = runHere(program);
    assert.equal(view.getBigUint64(0, true) - arena.address, quiet ? 64n : 192n);
    arena.close();
  }
});

Deno.test("spawn() runs the steps in a child that exits by itself", async () => {
  await runInChild((program) => exit(program, 42), (child, status) => {
    assert.deepEqual(status, { code: 42 });
    assert.equal(child.failure(), undefined);
  });
});

Deno.test("a step without its expected result fails the program, in a sentence that names it", async () => {
  await runInChild((program) => {
    program.add({ call: "lseek", args: [0, 0, 77], does: "never mind", allow: "any" });
    program.add({ call: "getppid", args: [], does: "find the parent", expect: 1 });
    exit(program, 0);
  }, (child, status) => {
    assert.deepEqual(status, { code: 127 });
    assert.equal(child.failure()?.message, `find the parent: getppid gave ${Deno.pid} instead of 1`);
    assert.equal(child.failure()?.step.call, "getppid");
  });
});

Deno.test("a step with an error that it does not allow fails the program", async () => {
  await runInChild((program) => {
    program.add({ call: "chdir", args: ["/nowhere"], does: 'go to "/nowhere"', allow: ["EACCES"] });
    exit(program, 0);
  }, (child, status) => {
    assert.deepEqual(status, { code: 127 });
    assert.equal(child.failure()?.message, 'go to "/nowhere": no such file or directory');
    assert.equal(child.failure()?.code, "ENOENT");
  });
});

Deno.test("a step's own sentence for an error replaces the usual one", async () => {
  await runInChild((program) => {
    program.add({ call: "chdir", args: ["/nowhere"], does: "go", errors: { ENOENT: "there is no way" } });
  }, (child) => assert.equal(child.failure()?.message, "there is no way"));
});

/** Steps that load a classic BPF filter which kills the process on one system call. */
function killOn(program: Program, number: number): void {
  const filter = new DataView(new ArrayBuffer(32));
  const instructions: [code: number, jt: number, jf: number, k: number][] = [
    [0x20, 0, 0, 0], // ld nr
    [0x15, 0, 1, number], // jeq
    [0x06, 0, 0, 0x80000000], // SECCOMP_RET_KILL_PROCESS
    [0x06, 0, 0, 0x7fff0000], // SECCOMP_RET_ALLOW
  ];
  instructions.forEach(([code, jt, jf, k], index) => {
    filter.setUint16(index * 8, code, true);
    filter.setUint8(index * 8 + 2, jt);
    filter.setUint8(index * 8 + 3, jf);
    filter.setUint32(index * 8 + 4, k, true);
  });
  const does = "load the filter";
  program.add({ call: "prctl", args: [flag("PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0], does });
  const bytes = new Data(new Uint8Array(filter.buffer), "[…]");
  program.add({ call: "prctl", args: [flag("PR_SET_SECCOMP"), 2, words([4, bytes]), 0, 0], does });
}

const exitGroup = { x86_64: 231, aarch64: 94 }[hostArch];
const getppid = { x86_64: 110, aarch64: 173 }[hostArch];

Deno.test("a failed step is known although seccomp killed the child before it could exit", async () => {
  await runInChild((program) => {
    killOn(program, exitGroup);
    program.add({ call: "chdir", args: ["/nowhere"], does: "go" });
  }, (child, status) => {
    assert.deepEqual(status, { signal: 31 }); // SIGSYS
    assert.equal(child.failure()?.message, "go: no such file or directory");
  });
});

Deno.test("currentStep() is the step in which seccomp killed the child", async () => {
  await runInChild((program) => {
    killOn(program, getppid);
    program.add({ call: "getpid", args: [], does: "be allowed" });
    program.add({ call: "getppid", args: [], does: "be killed" });
    exit(program, 0);
  }, (child, status) => {
    assert.deepEqual(status, { signal: 31 });
    assert.equal(child.failure(), undefined);
    assert.equal(child.currentStep()?.does, "be killed");
  });
});

Deno.test("a step branches on one of its errors, and goes on after the others that it allows", async () => {
  for (const [path, code] of [["/nowhere", 7], ["/dev/null", 8]] as const) {
    await runInChild((program) => {
      const missing = new Label("missing");
      const step = { call: "chdir" as const, args: [path], does: "go", allow: "any" as const };
      program.add({ ...step, branch: { on: -errnoNumber("ENOENT"), to: missing } });
      exit(program, 8);
      program.bind(missing);
      exit(program, 7);
    }, (_child, status) => assert.deepEqual(status, { code }));
  }
});

Deno.test("resultIn() reads what the child wrote to a slot", async () => {
  const program = new ChildProgram([]);
  const slot = program.result("pid", { call: "getpid", args: [], does: "ask" });
  exit(program, 0);
  using reactor = new Reactor();
  using child = spawn(program, new Map());
  await waitForChild(reactor, child.pidfd);
  assert.equal(child.resultIn(slot), BigInt(child.pid));
});

Deno.test({
  ...needing("machine code is what its assembly source gives", { peers: ["binutils", "binutils-aarch64-linux-gnu"] }),
  async fn() {
    const wanted = (await generateMachineCode()).get("ffi/gen/machine_code.ts");
    assert.equal(await Deno.readTextFile(new URL("../gen/machine_code.ts", import.meta.url)), wanted);
  },
});

/** A program that uses every feature of the interpreter and leaves with 42 only if all of them work. */
function everything(): Program {
  const program = new Program();
  const [wrong, missing, loop, end] = ["wrong", "missing", "loop", "end"].map((name) => new Label(name)) as [
    Label,
    Label,
    Label,
    Label,
  ]; // A tuple, for there are four names.
  const openMissing = { call: "openat" as const, args: [flag("AT_FDCWD"), "/nowhere", 0, 0], does: "open" };
  program.add({ ...openMissing, allow: ["ENOENT"], otherwise: missing, then: wrong });
  program.bind(wrong);
  exit(program, 1);
  program.bind(missing);
  const file = program.result("fd", { call: "memfd_create", args: ["barge-test", 0], does: "make a file" });
  program.bind(loop);
  program.add({ call: "write", args: [file, "0123456789", 7], does: "write", expect: 7 });
  program.add({ call: "lseek", args: [file, 0, 1], does: "measure", branch: { on: 42, to: end }, quiet: true });
  program.add({ call: "getpid", args: [], does: "go on", then: loop });
  program.bind(end);
  const vector = words([new Data(new TextEncoder().encode("as planned\n\0\0\0\0\0"), "…"), 0]);
  program.add({ call: "lseek", args: [file, 11, 0], does: "give 11", into: { data: vector, offset: 8 } });
  program.add({ call: "writev", args: [1, vector, 1], does: "print", expect: 11 });
  exit(program, program.result("size", { call: "lseek", args: [file, 0, 2], does: "measure" }));
  return program;
}

/** Runs the bytes as a program, through an emulator where one is named. */
async function runFile(bytes: Uint8Array, ...emulator: string[]): Promise<{ code: number; text: string }> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, bytes);
    await Deno.chmod(path, 0o755);
    const [command, ...args] = [...emulator, path];
    const output = await new Deno.Command(command!, { args, stdout: "piped", stderr: "inherit" }).output();
    return { code: output.code, text: new TextDecoder().decode(output.stdout) };
  } finally {
    await Deno.remove(path);
  }
}

for (const arch of ["x86_64", "aarch64"] as const satisfies Arch[]) {
  const emulator = arch === hostArch ? [] : [`qemu-${arch}-static`];
  const peers = arch === hostArch ? [] : ["qemu-user-static" as const];

  Deno.test({
    ...needing(`the interpreter of ${arch} performs every kind of step`, { peers }),
    async fn() {
      assert.deepEqual(await runFile(programElf(everything(), arch), ...emulator), { code: 42, text: "as planned\n" });
    },
  });

  Deno.test({
    ...needing(`the interpreter of ${arch} ends a program at a failing step`, { peers }),
    async fn() {
      const program = new Program();
      program.add({ call: "getpid", args: [], does: "be someone else", expect: -1 });
      exit(program, 0);
      assert.deepEqual(await runFile(programElf(program, arch), ...emulator), { code: 127, text: "" });
    },
  });
}
