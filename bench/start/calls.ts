/**
 * The calls of a container's start as programs that C can perform: those of the parent, listed here by hand after what
 * `createContainer` does, and those of the child, which are the plan itself.
 *
 * @module
 */
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { hostArch } from "../../ffi/arch.ts";
import { Assembly } from "../../ffi/program/assemble.ts";
import { header, headerSize, operationSize } from "../../ffi/program/layout.ts";
import { flag, Program, returnStep, room, type Slot, text } from "../../ffi/program/program.ts";
import { Cgroup } from "../../shim/oci/cgroup/cgroup.ts";
import { deviceLines } from "../../shim/oci/cgroup/device_lines.ts";
import { devicePolicy } from "../../shim/oci/cgroup/device_rules.ts";
import { readHierarchies } from "../../shim/oci/cgroup/hierarchies.ts";
import { cgroupSettings } from "../../shim/oci/cgroup/settings.ts";
import { gatherFacts } from "../../shim/oci/gather_facts.ts";
import { plan } from "../../shim/oci/plan/plan.ts";

/** Where the programs are assembled for: far from where the kernel puts anything of a small program. */
export const address = 0x1000_0000_0000n;

/** Numbers of the descriptors that `start.c` holds ready. */
const descriptors = { stdin: 100, stdout: 101, stderr: 102, report: 103, stub: 104, cgroup: 105 } as const;

/** `start.c` passes over operations with this number. */
const skipNumber = 0xfffffffe;

/** AT_REMOVEDIR of unlinkat(2). */
const removeDirectory = 0x200;

/** What `start.c` takes. */
export interface PeerFile {
  bytes: Uint8Array;
  /** Of the programs before, child, after, cleanup. */
  offsets: number[];
  /** How many calls each of them makes at most. */
  counts: number[];
}

/** Where the peer's container lives. */
export interface PeerContainer {
  id: string;
  spec: Spec;
  bundle: string;
  rootfs: string;
  stateRoot: string;
}

/** The four programs of one container. */
export function peerFile(container: PeerContainer): PeerFile {
  const { spec, bundle } = container;
  const cgroup = Cgroup.at(readHierarchies(), spec.linux?.cgroupsPath, container.id);
  const child = plan(
    spec,
    gatherFacts({
      spec,
      id: container.id,
      bundle,
      root: { kind: "directory", path: container.rootfs },
      cgroups: cgroup.places,
      start: "at once",
      dieWithParent: false,
    }),
  ).program;
  const programs = [beforeClone(container, cgroup), child, afterClone(container), cleanUp(container, cgroup)];
  const given = new Map(Object.entries(descriptors).map(([name, fd]) => [name, BigInt(fd)]));
  // The numbers of skipped steps are never looked at.
  const names = ["rseq.address", "rseq.size", "code.address", "code.end", "low.address", "low.length"]
    .concat("middle.address", "middle.length", "high.address")
    .concat(
      [0x7ffffffff000n, 1n << 48n, 1n << 47n, 1n << 42n, 1n << 39n].map((end) => `high.length.${end.toString(16)}`),
    );
  for (const name of names) given.set(name, 0n);
  const parts: Uint8Array[] = [];
  const offsets: number[] = [];
  let end = 0;
  for (const program of programs) {
    const assembly = new Assembly(program, hostArch);
    const bytes = assembly.at(address + BigInt(end), given);
    skipOwnMemory(program, bytes);
    offsets.push(end);
    parts.push(bytes);
    end += bytes.length;
  }
  const bytes = new Uint8Array(end);
  parts.forEach((part, index) => bytes.set(part, offsets[index]));
  return { bytes, offsets, counts: programs.map(({ operations }) => operations.length) };
}

/** Marks the steps that rid a child of barge's own memory: a small C process has none of it. */
function skipOwnMemory(program: Program, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer);
  program.operations.forEach((step, index) => {
    if (step === returnStep) return;
    const ownMemory = step.call === "munmap" || step.call === "rseq" ||
      step.call === "prctl" && step.does.startsWith("exchange the executable");
    if (ownMemory) view.setUint32(headerSize + index * operationSize, skipNumber, true);
  });
  if (view.getBigUint64(header.first, true) === 0n) throw new Error("the program has no first operation");
}

/** State directory, cgroups, limits, and the first state. */
function beforeClone(container: PeerContainer, cgroup: Cgroup): Program {
  const program = new Program();
  const directory = `${container.stateRoot}/${container.id}`;
  // What is looked at before planning.
  for (
    const path of ["/proc/self/mountinfo", "/proc/self/cgroup", "/proc/self/status", "/proc/sys/kernel/cap_last_cap"]
  ) {
    readFile(program, path);
  }
  makeDirectory(program, directory, 0o711);
  const spec = open(program, `${directory}/config.json`, ["O_WRONLY", "O_CREAT", "O_TRUNC"], 0o600);
  write(program, spec, JSON.stringify(container.spec));
  writeState(program, container);
  for (const { path, mountpoint, controllers } of cgroup.places) {
    makeDirectory(program, path, 0o755);
    if (!controllers.includes("cpuset")) continue;
    for (const name of ["cpuset.cpus", "cpuset.mems"]) {
      readFile(program, `${path}/${name}`);
      readFile(program, `${mountpoint}/${name}`);
      writeFile(program, `${path}/${name}`, Deno.readTextFileSync(`${mountpoint}/${name}`).trim());
    }
  }
  const resources = container.spec.linux?.resources ?? {};
  const available = cgroup.places.flatMap(({ controllers }) => controllers);
  const place = (controller: string) => cgroup.places.find(({ controllers }) => controllers.includes(controller))?.path;
  for (const { controller, file, value } of cgroupSettings(resources, 1, new Set(available))) {
    writeFile(program, `${place(controller)}/${file}`, value);
  }
  const devices = place("devices");
  if (devices !== undefined) {
    readFile(program, `${devices}/devices.list`);
    const policy = devicePolicy(resources.devices ?? [], []);
    for (const { file, line } of deviceLines(policy, "a *:* rwm")) writeFile(program, `${devices}/${file}`, line);
  }
  const unified = cgroup.places.find(({ version }) => version === 2);
  if (unified !== undefined) {
    const born = open(program, unified.path, ["O_PATH", "O_DIRECTORY"]);
    program.add({ call: "dup3", args: [born, descriptors.cgroup, flag("O_CLOEXEC")], does: "keep the cgroup" });
    program.add({ call: "close", args: [born], does: "close" });
  }
  program.operations.push(returnStep);
  return program;
}

/** The state once more, with init's process id. */
function afterClone(container: PeerContainer): Program {
  const program = new Program();
  readFile(program, "/proc/self/stat");
  writeState(program, container);
  program.operations.push(returnStep);
  return program;
}

function cleanUp(container: PeerContainer, cgroup: Cgroup): Program {
  const program = new Program();
  const directory = `${container.stateRoot}/${container.id}`;
  const remove = (path: string, bits: number) =>
    program.add({
      call: "unlinkat",
      args: [flag("AT_FDCWD"), path, bits],
      does: `remove ${path}`,
      allow: ["ENOENT"],
    });
  program.add({ call: "close", args: [descriptors.cgroup], does: "close", allow: ["EBADF"] });
  for (const { path } of cgroup.places) remove(path, removeDirectory);
  remove(`${directory}/state.json`, 0);
  remove(`${directory}/config.json`, 0);
  remove(directory, removeDirectory);
  program.operations.push(returnStep);
  return program;
}

function writeState(program: Program, container: PeerContainer): void {
  const directory = `${container.stateRoot}/${container.id}`;
  const contents = JSON.stringify({
    id: container.id,
    bundle: container.bundle,
    rootfs: container.rootfs,
    cgroup: "x".repeat(1500),
  });
  const file = open(program, `${directory}/state-1`, ["O_WRONLY", "O_CREAT", "O_TRUNC"], 0o600);
  write(program, file, contents);
  program.add({
    call: "renameat2",
    args: [flag("AT_FDCWD"), `${directory}/state-1`, flag("AT_FDCWD"), `${directory}/state.json`, 0],
    does: "write the state",
  });
}

function makeDirectory(program: Program, path: string, mode: number): void {
  program.add({ call: "mkdirat", args: [flag("AT_FDCWD"), path, mode], does: `make ${path}` });
}

function open(program: Program, path: string, bits: Parameters<typeof flag>, mode = 0): Slot {
  const openFlags = flag(...bits, "O_CLOEXEC");
  return program.result("file", {
    call: "openat",
    args: [flag("AT_FDCWD"), path, openFlags, mode],
    does: `open ${path}`,
  });
}

function write(program: Program, file: Slot, contents: string): void {
  const data = text(contents);
  program.add({ call: "write", args: [file, data, data.bytes.length - 1], does: "write" });
  program.add({ call: "close", args: [file], does: "close" });
}

function writeFile(program: Program, path: string, contents: string): void {
  write(program, open(program, path, ["O_WRONLY"]), contents);
}

function readFile(program: Program, path: string): void {
  const file = open(program, path, ["O_RDONLY"]);
  const buffer = room(4096, "buffer");
  for (let reads = 0; reads < 2; reads++) program.add({ call: "read", args: [file, buffer, 4096], does: "read" });
  program.add({ call: "close", args: [file], does: "close" });
}
