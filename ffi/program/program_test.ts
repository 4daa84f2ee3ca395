import assert from "node:assert/strict";
import { constant } from "../constants.ts";
import { errnoNumber } from "../errno.ts";
import { numbers } from "../gen/syscalls_x86_64.ts";
import { Assembly } from "./assemble.ts";
import { describeProgram } from "./describe.ts";
import { formatProgram } from "./format.ts";
import { header, headerSize, mode, operation, operationSize, returnNumber } from "./layout.ts";
import { Data, flag, Given, Label, Program, returnStep, room, Slot, text, textArray, words } from "./program.ts";

const base = 0x7fff_1234_5000n;

function viewOf(program: Program, given?: ReadonlyMap<string, bigint>): { view: DataView; assembly: Assembly } {
  const assembly = new Assembly(program, "x86_64");
  return { view: new DataView(assembly.at(base, given).buffer), assembly };
}

/** Offset of a field of the n-th operation. */
function at(index: number, field: number): number {
  return headerSize + index * operationSize + field;
}

function one(...args: (number | bigint | string)[]): Program {
  const program = new Program();
  program.add({ call: "write", args, does: "write" });
  return program;
}

Deno.test("Assembly writes number, arguments and the address of the first operation", () => {
  const { view } = viewOf(one(1, -1, 2 ** 40 + 1, -(2 ** 31), 0xffff_ffff_ffff_fffen, 0xffffffff));
  assert.equal(view.getBigUint64(header.first, true), base + BigInt(headerSize));
  assert.equal(view.getUint32(at(0, operation.number), true), numbers.write);
  assert.equal(view.getUint32(at(0, operation.mode), true), 0);
  const args = Array.from({ length: 6 }, (_, index) => view.getBigInt64(at(0, operation.args + index * 8), true));
  assert.deepEqual(args, [1n, -1n, 2n ** 40n + 1n, -(2n ** 31n), -2n, 0xffffffffn]);
});

Deno.test("Assembly places equal texts once, with a NUL, at addresses that follow the base", () => {
  const program = one(1, "grüße", 5);
  program.add({ call: "write", args: [1, "grüße", 5], does: "write" });
  const { view } = viewOf(program);
  const address = view.getBigUint64(at(0, operation.args + 8), true);
  assert.equal(view.getBigUint64(at(1, operation.args + 8), true), address);
  const bytes = new Uint8Array(view.buffer).subarray(Number(address - base));
  assert.equal(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0))), "grüße");
});

Deno.test("Assembly refuses what cannot be: a NUL in a text, a seventh argument, a label without step, a missing number", () => {
  assert.throws(() => new Assembly(one("a\0b"), "x86_64"), /holds a NUL/);
  assert.throws(() => text("a\0b"), /holds a NUL/);
  assert.throws(() => new Assembly(one(1, 2, 3, 4, 5, 6, 7), "x86_64"), /more than six/);
  const open = new Program();
  open.add({ call: "getpid", args: [], does: "ask", then: new Label("nowhere") });
  assert.throws(() => new Assembly(open, "x86_64"), /label nowhere is bound to no step/);
  const wanting = new Program();
  wanting.add({ call: "close", args: [new Given("pipe")], does: "close" });
  assert.throws(() => new Assembly(wanting, "x86_64").at(base), /needs "pipe"/);
  assert.throws(() => new Assembly(wanting, "x86_64").offsetOf(new Slot("x")), /does not hold/);
  const label = new Label("twice");
  open.bind(label);
  assert.throws(() => open.bind(label), /bound twice/);
});

Deno.test("Assembly resolves flags for its architecture and given numbers at the end", () => {
  const program = new Program();
  program.add({
    call: "openat",
    args: [flag("AT_FDCWD"), "/", flag("O_DIRECTORY", "O_CLOEXEC"), new Given("mode")],
    does: "open",
  });
  const { view } = viewOf(program, new Map([["mode", -3n]]));
  assert.equal(view.getBigInt64(at(0, operation.args), true), -100n);
  assert.equal(view.getBigInt64(at(0, operation.args + 16), true), BigInt(0o200000 + constant("O_CLOEXEC", "x86_64")));
  assert.equal(view.getBigInt64(at(0, operation.args + 24), true), -3n);
  const other = new DataView(new Assembly(program, "aarch64").at(base, new Map([["mode", 0n]])).buffer);
  assert.equal(other.getBigInt64(at(0, operation.args + 16), true), BigInt(0o40000 + constant("O_CLOEXEC", "aarch64")));
});

Deno.test("Assembly marks slots, expectations, branches, jumps and allowed errors", () => {
  const program = new Program();
  const end = new Label("end");
  const slot = program.result("pid", { call: "getpid", args: [], does: "ask", quiet: true });
  program.add({
    call: "kill",
    args: [slot, 0],
    does: "probe",
    expect: -5,
    allow: ["ESRCH", "ENOMEDIUM"],
    otherwise: end,
  });
  program.add({ call: "getpid", args: [], does: "ask", branch: { on: 3, to: end }, allow: "any" });
  program.bind(end);
  program.operations.push(returnStep);
  const { view, assembly } = viewOf(program);
  const slotAddress = base + BigInt(assembly.offsetOf(slot));
  const endAddress = base + BigInt(at(3, 0));
  assert.equal(view.getUint32(at(0, operation.mode), true), mode.quiet);
  assert.equal(view.getBigUint64(at(0, operation.into), true), slotAddress);
  assert.equal(view.getUint32(at(1, operation.mode), true), mode.exact | 1);
  assert.equal(view.getBigUint64(at(1, operation.args), true), slotAddress);
  assert.equal(view.getBigInt64(at(1, operation.expect), true), -5n);
  assert.equal(view.getBigUint64(at(1, operation.otherwise), true), endAddress);
  const allowed = view.getBigUint64(at(1, operation.allowed), true) |
    view.getBigUint64(at(1, operation.allowed + 8), true) << 64n;
  assert.equal(allowed, 1n << BigInt(errnoNumber("ESRCH")) | 1n << BigInt(errnoNumber("ENOMEDIUM")));
  assert.equal(view.getUint32(at(2, operation.mode), true), mode.branch);
  assert.equal(view.getBigUint64(at(2, operation.then), true), endAddress);
  assert.equal(view.getBigUint64(at(2, operation.allowed + 8), true), 2n ** 64n - 1n);
  assert.equal(view.getUint32(at(3, operation.number), true), returnNumber);
});

Deno.test("Assembly grows past its first room", () => {
  const program = one(1, "x".repeat(100_000), 1);
  program.add({ call: "write", args: [1, room(100_000, "[]"), 1], does: "write" });
  const { assembly } = viewOf(program);
  assert.ok(assembly.size > 200_000);
});

Deno.test("textArray() and words() hold the addresses of what they refer to", () => {
  const program = new Program();
  const list = textArray(["a", "bc"]);
  const inner = room(8, "[]");
  const struct = words([inner, 7, -1, new Given("n"), 2n ** 63n]);
  program.add({ call: "execve", args: ["/bin/a", list, struct], does: "run" });
  const { view, assembly } = viewOf(program, new Map([["n", 9n]]));
  const first = view.getBigUint64(assembly.offsetOf(list), true);
  assert.equal(view.getUint16(Number(first - base), true), 0x61);
  assert.equal(view.getBigUint64(assembly.offsetOf(list) + 16, true), 0n);
  const offset = assembly.offsetOf(struct);
  assert.equal(view.getBigUint64(offset, true), base + BigInt(assembly.offsetOf(inner)));
  assert.equal(view.getBigInt64(offset + 8, true), 7n);
  assert.equal(view.getBigInt64(offset + 16, true), -1n);
  assert.equal(view.getBigInt64(offset + 24, true), 9n);
  assert.equal(view.getBigUint64(offset + 32, true), 2n ** 63n);
});

Deno.test("describeProgram() gives for each step what formatProgram() prints, as data", () => {
  const program = new Program();
  const done = new Label("done");
  program.add({ call: "write", args: [3, "x", 1], does: "report", expect: 1 });
  program.result("fd", {
    call: "openat",
    args: [flag("AT_FDCWD"), "/a", 0, 0],
    does: "open a",
    allow: ["ENOENT"],
    otherwise: done,
  });
  program.operations.push(returnStep);
  program.bind(done);
  program.add({ call: "getppid", args: [], does: "end", allow: "any", branch: { on: 1, to: done } });
  const names = new Map([[3, "report"]]);
  assert.deepEqual(describeProgram(program, names), [
    { does: "report", call: "write", args: ["3<report>", '"x"', "1"], expects: 1 },
    {
      does: "open a",
      call: "openat",
      args: ["AT_FDCWD", '"/a"', "0", "0"],
      result: "fd",
      mayFail: ["ENOENT"],
      otherwise: "done",
    },
    { does: "go back to the runtime", call: "return", args: [] },
    { labels: ["done"], does: "end", call: "getppid", args: [], branch: { on: 1, to: "done" }, mayFail: "any" },
  ]);
  assert.ok(formatProgram(program, names).startsWith(`# report\n  write(3<report>, "x", 1) = 1\n`));
});

Deno.test("formatProgram() prints steps as strace does, with labels and purposes", () => {
  const program = new Program();
  const again = new Label("again");
  const done = new Label("done");
  program.bind(again);
  const fd = program.result("fd", {
    call: "openat",
    args: [flag("AT_FDCWD"), "/etc/\n", flag("O_RDONLY", "O_CLOEXEC"), 0],
    does: "open the file",
    allow: ["EINTR"],
    otherwise: again,
  });
  program.add({ call: "fchmod", args: [fd, 7n], does: "open the file", expect: 0, then: done });
  program.add({
    call: "mkdirat",
    args: [new Given("root"), "a", 0o755],
    does: "make a",
    allow: "any",
    branch: { on: 1, to: again },
  });
  program.bind(done);
  program.add({ call: "execve", args: ["/a", textArray(["a"]), new Data(new Uint8Array(8), "[]")], does: "run a" });
  program.operations.push(returnStep);
  assert.equal(
    formatProgram(program),
    `again:
# open the file
  $fd = openat(AT_FDCWD, "/etc/\\n", O_RDONLY|O_CLOEXEC, 0) [EINTR → again]
  fchmod($fd, 7) = 0 → done
# make a
  mkdirat(<root>, "a", 0755) → again on 1 [any error]
done:
# run a
  execve("/a", ["a"], [])
  return
`,
  );
});
