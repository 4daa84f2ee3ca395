/**
 * Runs a planned container in this process, also with a plan that was weakened on purpose: a test of an attack is worth
 * something only where the attack succeeds without the step that is there against it.
 *
 * @module
 */
import { defaultSpec } from "../../shim/oci/spec/default_spec.ts";
import { gatherFacts } from "../../shim/oci/gather_facts.ts";
import { launch } from "../../shim/oci/launch.ts";
import type { Facts } from "../../shim/oci/plan/facts.ts";
import { plan } from "../../shim/oci/plan/plan.ts";
import { Descriptor, makePipe, openFile, readOnce } from "../../ffi/descriptor.ts";
import { flags } from "../../ffi/constants.ts";
import { exitCode, waitForChild } from "../../ffi/process.ts";
import { type Label, type Operation, type Program, returnStep, type Step } from "../../ffi/program/program.ts";
import { call } from "../../ffi/syscall.ts";
import { Reactor } from "../../ffi/reactor.ts";
import type { FullSpec } from "../bundle.ts";

/** What becomes of a step of a plan: another one, or none. */
export type Change = (step: Step) => Step | undefined;

/** Changes a program; labels go on to mean the same steps. */
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

/** How a planned run is made. */
export interface PlannedRun {
  /** Path of the root file system. */
  rootfs: string;
  /** What is executed in the container. */
  command: readonly string[];
  /** Changes the default spec, which has no terminal and a writable root here. */
  edit?: (spec: FullSpec) => void;
  /** Weakens the plan. */
  weaken?: Change;
  /** Is called when everything that the runtime looks up beforehand is known. */
  beforeLaunch?: () => void;
  /** Whether it gets a terminal, whose other side nobody reads. */
  terminal?: boolean;
  /** Changes what the runtime has found out. */
  facts?: Partial<Facts>;
}

/** How it ended: what it wrote to both outputs, or the sentence of the step that failed. */
export interface PlannedEnd {
  code: number;
  output: string;
  failure?: string;
}

/** Runs the command in a container without cgroups of its own, and waits for its end. */
export async function planned(run: PlannedRun): Promise<PlannedEnd> {
  const spec: FullSpec = { linux: {}, ...defaultSpec() } as FullSpec; // The default spec has all of these.
  spec.process.terminal = false;
  spec.process.args = [...run.command];
  spec.root = { path: run.rootfs, readonly: false };
  // Cgroups are no part of what is tested this way, and mounting them takes most of the time.
  spec.mounts = spec.mounts.filter(({ type }) => type !== "cgroup");
  run.edit?.(spec);
  const { program } = plan(spec, {
    ...gatherFacts({
      spec,
      id: "planned",
      bundle: run.rootfs,
      root: { kind: "directory", path: run.rootfs },
      cgroups: [],
      start: "at once",
      dieWithParent: false,
    }),
    passwd: "",
    ...run.facts,
  });
  if (run.weaken !== undefined) change(program, run.weaken);
  using reactor = new Reactor();
  const pipe = makePipe();
  using input = openFile("/dev/null", flags("O_RDONLY"));
  const sockets = run.terminal ? socketPair() : undefined;
  run.beforeLaunch?.();
  const launched = launch({
    program,
    streams: { stdin: input.number, stdout: pipe.write.number, stderr: pipe.write.number, ...terminalOf(sockets) },
    dieWithParent: false,
    alone: false,
  });
  pipe.write.close();
  try {
    await launched.settled(reactor, false);
    const status = await waitForChild(reactor, launched.child.pidfd);
    return { code: exitCode(status), output: drain(pipe.read.number) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { code: 255, output: "", failure: error.message };
  } finally {
    pipe.read.close();
    sockets?.forEach((socket) => socket.close());
    launched.child.close();
  }
}

/** What a pipe holds whose writers have ended: more than its 64 KiB no test writes. */
function drain(fd: number): string {
  let text = "";
  const buffer = new Uint8Array(1 << 16);
  for (let count = readOnce(fd, buffer); count > 0; count = readOnce(fd, buffer)) {
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text;
}

/** Two connected unix sockets: one sends the terminal's master, the other keeps it for as long as the process runs. */
function socketPair(): [Descriptor, Descriptor] {
  const numbers = new Int32Array(2);
  const [unix, stream] = [1, 1];
  call("socketpair", unix, stream | flags("O_CLOEXEC"), 0, numbers);
  return [new Descriptor(numbers[0]!), new Descriptor(numbers[1]!)];
}

function terminalOf(sockets: [Descriptor, Descriptor] | undefined): { console?: number } {
  return sockets === undefined ? {} : { console: sockets[0].number };
}
