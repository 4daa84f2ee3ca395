import { deepStrictEqual as equal, ok, throws } from "node:assert/strict";
import { isFailure } from "../../../api/errors.ts";
import type { Seccomp, SeccompSyscall } from "../../../api/oci/runtime_spec.ts";
import { assemble } from "./assemble.ts";
import { runFilter } from "./bpf_vm.ts";
import { compileSeccomp } from "./compile.ts";
import { disassemble } from "./disassemble.ts";
import { type Node, searchTree } from "./node.ts";

const x86_64 = 0xc000_003e;
const x86 = 0x4000_0003;
const aarch64 = 0xc000_00b7;
const arm = 0x4000_0028;
const allow = 0x7fff_0000;
const eperm = 0x0005_0001;
const enosys = 0x0005_0026;

const profile = (syscalls: SeccompSyscall[], more: Partial<Seccomp> = {}): Seccomp => ({
  defaultAction: "SCMP_ACT_ERRNO",
  syscalls,
  ...more,
});
const named = (...names: string[]): SeccompSyscall => ({ names, action: "SCMP_ACT_ALLOW" });
const verdict = (seccomp: Seccomp, nr: number, args: bigint[] = [], arch = x86_64) =>
  runFilter(compileSeccomp(seccomp, arch === aarch64 || arch === arm ? "aarch64" : "x86_64").program, {
    arch,
    nr,
    args,
  });

Deno.test("compileSeccomp() allows what is named, denies the rest, and hides what is newer", () => {
  const seccomp = profile([named("read", "openat")]);
  equal([0, 257, 1, 256, 258, 450].map((nr) => verdict(seccomp, nr)), [allow, allow, eperm, eperm, enosys, enosys]);
});

Deno.test("compileSeccomp() hides nothing where the default lets calls through", () => {
  const deny: SeccompSyscall = { names: ["reboot"], action: "SCMP_ACT_ERRNO", errnoRet: 13 };
  const seccomp = profile([deny], { defaultAction: "SCMP_ACT_ALLOW" });
  equal([169, 170, 450].map((nr) => verdict(seccomp, nr)), [0x0005_000d, allow, allow]);
});

Deno.test("compileSeccomp() kills what comes through an interface that the profile does not name", () => {
  const open = profile([], { defaultAction: "SCMP_ACT_ALLOW" });
  equal([verdict(open, 0, [], x86), verdict(open, 0x4000_0000), verdict(open, 0xffff_ffff)], [0, 0, allow]);
  const closed = profile([named("read")]);
  equal([0, 0x3fff_ffff, 0x4000_0000].map((nr) => verdict(closed, nr)), [allow, enosys, 0]);
  const both = { ...open, architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] };
  equal([verdict(both, 0, [], x86), verdict(both, 0x4000_0000), verdict(both, 0, [], arm)], [allow, allow, 0]);
});

Deno.test("compileSeccomp() compares all 64 bits of an argument", () => {
  const value = 2n ** 63n + 5n;
  const when = (op: string) => profile([{ ...named("read"), args: [{ index: 5, value, op: `SCMP_CMP_${op}` }] }]);
  const around = [value - 1n, value, value + 1n, 5n, value + 2n ** 32n];
  const holds = (op: string) =>
    around.map((arg) => verdict(when(op), 0, [0n, 0n, 0n, 0n, 0n, arg]) === allow ? 1 : 0).join("");
  equal(["EQ", "NE", "LT", "LE", "GT", "GE"].map(holds), ["01000", "10111", "10010", "11010", "00101", "01101"]);
});

Deno.test("compileSeccomp() takes one argument twice as alternatives, others together", () => {
  const arg = (index: number, value: number) => ({ index, value, op: "SCMP_CMP_EQ" });
  const both = profile([{ ...named("read"), args: [arg(0, 1), arg(1, 2)] }]);
  equal([[1n, 2n], [1n, 3n], [0n, 2n]].map((args) => verdict(both, 0, args)), [allow, eperm, eperm]);
  const either = profile([{ ...named("read"), args: [arg(0, 1), arg(0, 2)] }]);
  equal([1n, 2n, 3n].map((value) => verdict(either, 0, [value])), [allow, allow, eperm]);
});

Deno.test("compileSeccomp() allows 32-bit ARM its private calls and still hides newer ones", () => {
  const seccomp = profile([named("read", "set_tls")], { architectures: ["SCMP_ARCH_ARM"] });
  equal([3, 4, 0x0f_0005, 0x0f_0006].map((nr) => verdict(seccomp, nr, [], arm)), [allow, enosys, allow, eperm]);
  equal(verdict(seccomp, 63, [], aarch64), allow);
});

Deno.test("compileSeccomp() gives the flags of the profile, and speculation where it has none", () => {
  const flags = (list?: string[]) =>
    compileSeccomp(profile([], list === undefined ? {} : { flags: list }), "x86_64").flags;
  equal([flags(), flags([]), flags(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"])], [4, 0, 2]);
  equal(compileSeccomp(profile([]), "x86_64").listener, false);
});

Deno.test("compileSeccomp() names the property that is wrong", () => {
  const arg = { index: 0, value: 1, op: "SCMP_CMP_EQ" };
  const rule = (more: Partial<SeccompSyscall>) => profile([named("write"), { ...named("read"), ...more }]);
  const cases: [Seccomp, RegExp][] = [
    [rule({ args: [{ ...arg, index: 6 }] }), /syscalls\[1\]\.args\[0\]\.index: .* 0 to 5, not 6/],
    [rule({ args: [{ ...arg, op: "EQ" }] }), /args\[0\]\.op: unknown operator "EQ"/],
    [rule({ args: [{ ...arg, value: -1 }] }), /args\[0\]\.value: .*not -1/],
    [rule({ args: [{ ...arg, value: 2n ** 64n }] }), /args\[0\]\.value/],
    [rule({ args: [{ ...arg, value: 2 ** 60 }] }), /args\[0\]\.value/],
    [rule({ action: "ALLOW" }), /syscalls\[1\]: unknown action "ALLOW"/],
    [rule({ errnoRet: 5 }), /SCMP_ACT_ALLOW has no errnoRet/],
    [rule({ action: "SCMP_ACT_ERRNO", errnoRet: 4096 }), /errnoRet 4096 is out of range/],
    [rule({ names: [] }), /syscalls\[1\]\.names/],
    [profile([], { architectures: ["X86"] }), /unknown architecture "X86"/],
    [profile([], { flags: ["FAST"] }), /unknown flag "FAST"/],
  ];
  for (const [seccomp, message] of cases) {
    throws(
      () => compileSeccomp(seccomp, "x86_64"),
      (error) => isFailure(error, "InvalidArgument") && message.test(error.message),
      `${message}`,
    );
  }
});

Deno.test("compileSeccomp() asks a listener, and says so to the kernel", () => {
  const notify: SeccompSyscall = { names: ["mkdir"], action: "SCMP_ACT_NOTIFY" };
  const asked = profile([notify], { listenerPath: "/run/agent", flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] });
  const { listener, flags } = compileSeccomp(asked, "x86_64");
  equal([listener, flags, verdict(asked, 83), verdict(asked, 84)], [true, 8 | 32, 0x7fc0_0000, enosys]);
  const silent = compileSeccomp(profile([named("read")], { listenerPath: "/run/agent" }), "x86_64");
  equal([silent.listener, silent.flags & 8], [false, 0]);
});

Deno.test("compileSeccomp() refuses what would wait for a listener that cannot answer", () => {
  const notify: SeccompSyscall = { names: ["mkdir"], action: "SCMP_ACT_NOTIFY" };
  const listenerPath = "/run/agent";
  const flags = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"];
  for (
    const [refused, why] of [
      [profile([notify]), /listenerPath/],
      [profile([notify], { listenerPath: "agent" }), /absolute path/],
      [profile([], { listenerPath, defaultAction: "SCMP_ACT_NOTIFY" }), /cannot be used as default action/],
      [profile([{ ...notify, names: ["read", "write"] }], { listenerPath }), /cannot be used for the write syscall/],
      [profile([named("read")], { listenerPath, flags }), /WAIT_KILLABLE_RECV/],
    ] as const
  ) throws(() => compileSeccomp(refused, "x86_64"), why);
});

Deno.test("compileSeccomp() bridges jumps beyond 255 instructions, and refuses more than the kernel takes", () => {
  const rules = (count: number): SeccompSyscall[] =>
    Array.from({ length: count }, (_, value) => ({
      names: ["read"],
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 1, value: BigInt(value) << 20n, op: "SCMP_CMP_EQ" }, {
        index: 2,
        value: value + 1,
        op: "SCMP_CMP_GT",
      }],
    }));
  const long = profile(rules(400));
  equal([[0n, 0n, 2n], [0n, 399n << 20n, 401n], [0n, 399n << 20n, 400n]].map((args) => verdict(long, 0, args)), [
    allow,
    allow,
    eperm,
  ]);
  throws(() => compileSeccomp(profile(rules(1000)), "x86_64"), (error) => isFailure(error, "ResourceExhausted"));
});

Deno.test("assemble() reaches answers and shared nodes from everywhere", () => {
  const answers: Node[] = [1, 2, 3].map((value) => ({ kind: "ret", value }));
  const segments = Array.from(
    { length: 900 },
    (_, start) => ({ start, node: answers[(start * 7 + (start >> 3)) % 3]! }),
  );
  const program = assemble({ kind: "load", offset: 0, next: searchTree(segments) });
  for (const { start, node } of segments) {
    equal(runFilter(program, { arch: 0, nr: start }), node.kind === "ret" ? node.value : undefined);
  }
});

Deno.test("disassemble() shows where jumps go", () => {
  const lines = disassemble(compileSeccomp(profile([named("read")], { defaultErrnoRet: 38 }), "x86_64").program);
  equal(lines[0], "   0  load arch");
  ok(
    lines.includes("   1  if == 0xc000003e goto 2 else 7") && lines.includes("   7  return KILL_THREAD"),
    lines.join("\n"),
  );
  ok(lines.some((line) => line.endsWith("return ERRNO 38")));
});
