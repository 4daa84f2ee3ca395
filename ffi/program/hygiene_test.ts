/**
 * What a child gives up before anything of a container can see it. Every test also runs the program without the step
 * that it is about, and must then find the opposite: a test that passes without its step tests nothing.
 */
import assert from "node:assert/strict";
import { needing } from "../../tests/peers.ts";
import { hostArch } from "../arch.ts";
import { type Descriptor, executableStub, makePipe, readOnce, writeOnce } from "../descriptor.ts";
import { waitForChild } from "../process.ts";
import { Reactor } from "../reactor.ts";
import { addHygiene } from "./hygiene.ts";
import { Data, type Label, type Operation, type Program, returnStep, room, type Slot, type Step } from "./program.ts";
import { type Child, ChildProgram, spawn } from "./spawn.ts";

/** Exchanging the executable wants CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN, in the user namespace that the child is in. */
function rootTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ ...needing(name, { root: true }), fn });
}

/** Numbers of the descriptors in the child. */
const [reportFd, waitFd, stubFd] = [3, 4, 5];

/** The signals that this process ignores: SIGPIPE, and what whoever runs the tests ignored. */
function ignoredHere(): number[] {
  const set = BigInt(`0x${/^SigIgn:\s*(\w+)/m.exec(Deno.readTextFileSync("/proc/self/status"))![1]!}`);
  return Array.from({ length: 64 }, (_, index) => index + 1).filter((signal) =>
    (set >> BigInt(signal - 1) & 1n) === 1n
  );
}

/** A child that has done its hygiene (with the steps that `how` changes) and waits for a byte. */
class WaitingChild implements AsyncDisposable {
  readonly child: Child;
  /** Holds what PR_GET_DUMPABLE said. */
  readonly dumpable: Slot;
  readonly #report: { read: Descriptor; write: Descriptor } = makePipe();
  readonly #wait: { read: Descriptor; write: Descriptor } = makePipe();
  #waiting = true;

  constructor(how: Change = (step) => step) {
    const program = new ChildProgram([]);
    const given = new Map([
      ["null", 0n],
      ["report", BigInt(this.#report.write.number)],
      ["wait", BigInt(this.#wait.read.number)],
      ["stub", BigInt(executableStub())],
    ]);
    addHygiene(program, {
      arch: hostArch,
      descriptors: [
        { from: "null", to: 0 },
        { from: "null", to: 1 },
        { from: "null", to: 2 },
        { from: "report", to: reportFd },
        { from: "wait", to: waitFd },
        { from: "stub", to: stubFd },
      ],
      stub: stubFd,
      ignoredSignals: ignoredHere(),
    });
    const PR_GET_DUMPABLE = 3;
    this.dumpable = program.result("dumpable", { call: "prctl", args: [PR_GET_DUMPABLE, 0, 0, 0, 0], does: "ask" });
    program.add({ call: "write", args: [reportFd, "x", 1], does: "report", expect: 1 });
    program.add({ call: "read", args: [waitFd, room(8, "&byte"), 1], does: "wait for the word to go on", expect: 1 });
    program.add({ call: "exit_group", args: [42], does: "go on" });
    change(program, how);
    this.child = spawn(program, given);
    this.#report.write.close();
    this.#wait.read.close();
    const reported = readOnce(this.#report.read.number, new Uint8Array(1));
    assert.equal(reported, 1, this.child.failure()?.message);
  }

  /** Text of one of the child's files in /proc. */
  proc(file: string): string {
    return Deno.readTextFileSync(`/proc/${this.child.pid}/${file}`);
  }

  /** A line of its status, such as `SigCgt`. */
  status(name: string): string {
    const line = this.proc("status").split("\n").find((line) => line.startsWith(`${name}:`));
    assert.ok(line !== undefined);
    return line.slice(name.length + 1).trim();
  }

  /** Lets it go on with a byte, or with the end of its pipe, and gives its exit code. */
  async end(byte: boolean): Promise<number> {
    this.#waiting = false;
    if (byte) writeOnce(this.#wait.write.number, new Uint8Array(1));
    this.#wait.write.close();
    using reactor = new Reactor();
    const status = await waitForChild(reactor, this.child.pidfd);
    assert.ok("code" in status, `killed by ${JSON.stringify(status)}`);
    return status.code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#waiting) await this.end(true);
    this.#report.read.close();
    this.child.close();
  }
}

/** What becomes of a step: another one, or none. */
type Change = (step: Step) => Step | undefined;

/** Changes the program; labels go on to mean the same steps. */
function change(program: Program, how: Change): void {
  const before = program.operations.slice();
  const after = before.map((operation) => operation === returnStep ? operation : how(operation));
  const labels = new Set<Label>();
  for (const step of before) {
    if (step === returnStep) continue;
    for (const label of [step.then, step.otherwise, step.branch?.to]) if (label !== undefined) labels.add(label);
  }
  const isKept = (operation: Operation | undefined): operation is Operation => operation !== undefined;
  for (const label of labels) label.index = after.slice(0, label.index).filter(isKept).length;
  program.operations.splice(0, before.length, ...after.filter(isKept));
}

/** Leaves steps out. */
function without(matches: (step: Step) => boolean): Change {
  return (step) => matches(step) ? undefined : step;
}

const does = (purpose: string) => (step: Step): boolean => step.does === purpose;

rootTest("a child ignores and blocks no signal", async () => {
  await using child = new WaitingChild();
  assert.match(child.status("SigIgn"), /^0+$/);
  assert.match(child.status("SigBlk"), /^0+$/);
  await using sloppy = new WaitingChild(without(does("restore default signals")));
  // Deno ignores SIGPIPE, signal 13.
  assert.equal(parseInt(sloppy.status("SigIgn"), 16) & 0x1000, 0x1000);
});

/** clone3 without CLONE_CLEAR_SIGHAND, which is bit 32 of the first word of its struct. */
const keepHandlers: Change = (step) => {
  const [struct, size] = step.args;
  if (step.call !== "clone3" || !(struct instanceof Data) || size === undefined) return step;
  const copy = new Data(struct.bytes.slice(), struct.shown);
  copy.pointers.push(...struct.pointers);
  copy.bytes[4]! &= ~1;
  return { ...step, args: [copy, size] };
};

rootTest("a child takes no signal handler along", async () => {
  const listener = () => {};
  Deno.addSignalListener("SIGUSR2", listener);
  try {
    await using child = new WaitingChild();
    assert.match(child.status("SigCgt"), /^0+$/);
    await using sloppy = new WaitingChild(keepHandlers);
    assert.notEqual(parseInt(sloppy.status("SigCgt"), 16) & 0x800, 0);
  } finally {
    Deno.removeSignalListener("SIGUSR2", listener);
  }
});

/** Whether somebody still listens at the path. */
async function connects(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    assert.ok(error instanceof Deno.errors.ConnectionRefused);
    return false;
  }
}

rootTest("a waiting child does not keep the parent's sockets open", async () => {
  const directory = await Deno.makeTempDir();
  try {
    for (const [name, how, open] of [["a", undefined, false], ["b", without(isClosing), true]] as const) {
      const path = `${directory}/${name}`;
      const listener = Deno.listen({ transport: "unix", path });
      // Closing it removes the file: another name for it stays.
      await Deno.link(path, `${path}.kept`);
      await using _child = new WaitingChild(how);
      listener.close();
      assert.equal(await connects(`${path}.kept`), open);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

function isClosing(step: Step): boolean {
  return step.call === "close_range";
}

rootTest("a child has the wanted descriptors and no other", async () => {
  await using child = new WaitingChild();
  const numbers = [...Deno.readDirSync(`/proc/${child.child.pid}/fd`)].map(({ name }) => Number(name)).sort();
  assert.deepEqual(numbers, [0, 1, 2, reportFd, waitFd, stubFd]);
  await using sloppy = new WaitingChild(without(isClosing));
  assert.ok([...Deno.readDirSync(`/proc/${sloppy.child.pid}/fd`)].length > numbers.length);
});

/** The secret stands in this process's memory as bytes; here it is put together only when it is looked for. */
const secretParts = ["a-secret-that-no", "-container-may-see"];

/** Whether the process's readable memory holds the secret. */
function holdsSecret(pid: number): boolean {
  const wanted = new TextEncoder().encode(secretParts.join(""));
  using memory = Deno.openSync(`/proc/${pid}/mem`);
  for (const line of Deno.readTextFileSync(`/proc/${pid}/maps`).split("\n")) {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) r/.exec(line) ?? [];
    // Addresses of user space end below 2^53; the kernel's own page (vsyscall) is not memory of the process.
    if (start === undefined || end === undefined || end.length > 13) continue;
    let at = parseInt(start, 16);
    for (const stop = parseInt(end, 16); at < stop;) {
      const chunk = new Uint8Array(Math.min(1 << 20, stop - at) + wanted.length);
      memory.seekSync(at, Deno.SeekMode.Start);
      let got: number | null;
      try {
        got = memory.readSync(chunk);
      } catch {
        break; // A mapping that cannot be read, such as [vvar].
      }
      if (got === null || got === 0) break;
      if (includes(chunk.subarray(0, got), wanted)) return true;
      at += got === chunk.length ? chunk.length - wanted.length : got;
    }
  }
  return false;
}

function includes(bytes: Uint8Array, wanted: Uint8Array): boolean {
  for (let at = bytes.indexOf(wanted[0]!); at !== -1; at = bytes.indexOf(wanted[0]!, at + 1)) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return true;
  }
  return false;
}

/** Without the unmapping, and without the swap of the executable, which the kernel refuses while code is mapped. */
function isUnmapping(step: Step): boolean {
  return step.call === "munmap" || step.call === "rseq" || isSwap(step);
}

function isSwap(step: Step): boolean {
  return step.does === "exchange the executable for a sealed stub";
}

rootTest("a waiting child's memory does not hold the parent's", async () => {
  const secret = new TextEncoder().encode(secretParts.join(""));
  await using child = new WaitingChild();
  assert.equal(holdsSecret(child.child.pid), false);
  await using sloppy = new WaitingChild(without(isUnmapping));
  assert.equal(holdsSecret(sloppy.child.pid), true);
  assert.equal(new TextDecoder().decode(secret), secretParts.join(""));
});

rootTest("a child has nothing mapped but the interpreter, its program and the kernel's pages", async () => {
  const mappings = (child: WaitingChild): string[] => child.proc("maps").trimEnd().split("\n");
  await using child = new WaitingChild();
  const left = mappings(child).filter((line) => !line.endsWith("[vsyscall]"));
  assert.equal(left.length, 2, left.join("\n"));
  await using sloppy = new WaitingChild(without(isUnmapping));
  assert.ok(mappings(sloppy).length > 50);
});

rootTest("a child is not dumpable, so that nobody without CAP_SYS_PTRACE reads its memory", async () => {
  await using child = new WaitingChild();
  assert.equal(child.child.resultIn(child.dumpable), 0n);
  await using sloppy = new WaitingChild(without(does("hide the child's memory from other processes")));
  assert.equal(sloppy.child.resultIn(sloppy.dumpable), 1n);
});

rootTest("/proc/PID/exe of a child is the sealed stub and not the runtime", async () => {
  await using child = new WaitingChild();
  const path = `/proc/${child.child.pid}/exe`;
  assert.match(Deno.readLinkSync(path), /^\/memfd:barge/);
  // Opened as CVE-2019-5736 does it: by way of /proc, for writing.
  assert.throws(() => Deno.writeTextFileSync(path, "overwritten", { create: false }));
  assert.equal(Deno.readTextFileSync(path), "");
  await using sloppy = new WaitingChild(without(isSwap));
  assert.equal(Deno.readLinkSync(`/proc/${sloppy.child.pid}/exe`), Deno.execPath());
});

rootTest("a waiting child ends when the other end of its pipe does, and goes on only at a byte", async () => {
  await using patient = new WaitingChild();
  assert.equal(await patient.end(true), 42);
  await using orphan = new WaitingChild();
  assert.equal(await orphan.end(false), 127);
  assert.equal(orphan.child.failure()?.step.does, "wait for the word to go on");
  assert.equal(orphan.child.failure()?.result, 0);
  // Without the expectation, the end of the file is taken for the word to go on.
  await using sloppy = new WaitingChild((step) => {
    if (step.call !== "read") return step;
    const { expect: _, ...anyResult } = step;
    return anyResult;
  });
  assert.equal(await sloppy.end(false), 42);
});
