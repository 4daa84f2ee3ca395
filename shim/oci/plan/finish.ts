/**
 * The last steps of every process in a container, init or exec: from limits and identity to `execve`.
 *
 * The order matters: the bounding set while CAP_SETPCAP is there; everything that is still open is closed before the
 * working directory is entered, so that `/proc/self/fd/N` leads nowhere (CVE-2024-21626).
 *
 * The filter of system calls comes last. It is made for the container's program and may know nothing of newer calls, as
 * profiles of years ago: after it follow `execve`, and where no_new_privs is not set, so that loading it takes a capability,
 * `capset`, and `write` and `read` to report and wait. runc cannot do with less.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Process, Rlimit } from "../../../api/oci/runtime_spec.ts";
import { type ConstantName, constants } from "../../../ffi/constants.ts";
import { Data, flag, Label, type Program, room, words } from "../../../ffi/program/program.ts";
import type { CompiledFilter } from "../seccomp/compile.ts";
import { addBoundingSet, addCapabilities, dropCapability } from "./capabilities.ts";
import { Command } from "./command.ts";
import { containerEnvironment } from "./environment.ts";
import type { Facts, Limit } from "./facts.ts";
import { addHomeLookup, asksHome } from "./home.ts";
import { openHow, openHowSize } from "./paths.ts";
import type { Stops } from "./stops.ts";

/** Numbers of the child's descriptors that the last steps use. */
export interface FinishDescriptors {
  report: number;
  /** The fifo that is waited on; undefined to go on at once. */
  start: number | undefined;
  /** The first number that is not kept until `execve`. */
  firstUnwanted: number;
}

/** What the last steps need besides the process. */
export interface FinishInput {
  process: Process;
  facts: Pick<
    Facts,
    "arch" | "filter" | "openFiles" | "lastCapability" | "passwd" | "isOrdinaryUser" | "dieWithParent"
  >;
  descriptors: FinishDescriptors;
  /** The file to execute, where the arguments do not name it. */
  executable?: string | undefined;
  /** Where the process waits for the runtime: needed for a filter with a listener, and to look HOME up. */
  stops?: Stops | undefined;
}

/** Adds everything up to and with `execve`. */
export function addFinish(program: Program, input: FinishInput): void {
  const { process, facts } = input;
  const filter = facts.filter && (() => addFilter(program, facts.filter!, input.stops));
  const home = asksHome(process, facts.passwd)
    ? addHomeLookup(program, process.user.uid, facts.arch, stopsOf(input))
    : undefined;
  if (process.noNewPrivileges) {
    program.add({ call: "prctl", args: [flag("PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0], does: "set no_new_privs" });
  }
  addLimits(program, process.rlimits ?? [], facts.openFiles);
  program.add({ call: "umask", args: [process.user.umask ?? 0o022], does: "set the umask" });
  const capabilities = process.capabilities ?? {};
  addBoundingSet(program, capabilities, facts.lastCapability);
  program.add({
    call: "close_range",
    args: [input.descriptors.firstUnwanted, 0xffffffff, 0],
    does: "close everything that was opened on the way",
  });
  addIdentity(program, process, facts);
  const loads = filter !== undefined && !process.noNewPrivileges ? filterCapability : undefined;
  addCapabilities(program, capabilities, facts.lastCapability, loads);
  if (facts.dieWithParent) addDeathSignal(program);
  addExec(program, input, filter, home);
}

/** Who has not given up new privileges needs it to load a filter (seccomp(2)). */
const filterCapability = "CAP_SYS_ADMIN";

function stopsOf({ stops }: FinishInput): Stops {
  if (stops === undefined) throw new TypeError("a process that asks the runtime needs a place to wait");
  return stops;
}

/**
 * Loads the filter (seccomp(2); struct sock_fprog: length, address). Where it has a listener, nothing more is done before
 * that has it: calls that it is asked about wait for it.
 */
function addFilter(program: Program, { program: instructions, flags, listener }: CompiledFilter, stops?: Stops): void {
  const count = instructions.length / 8;
  const descriptor = program.result("listener", {
    call: "seccomp",
    args: [
      flag("SECCOMP_SET_MODE_FILTER"),
      flags,
      words([count, new Data(instructions, `[${count} instructions]`)]),
    ],
    does: "load the seccomp filter",
  });
  if (!listener) return;
  if (stops === undefined) throw new TypeError("a filter with a listener needs a place to wait");
  stops.add({ kind: "listener", descriptor }, "the seccomp listener");
}

const unlimited = 0xffffffffffffffffn;

/** A JSON number as rlim_t: what lies beyond 2^63 or is negative means no limit. */
export function limitValue(value: number): bigint {
  return value < 0 || value >= 2 ** 63 ? unlimited : BigInt(value);
}

function addLimits(program: Program, rlimits: readonly Rlimit[], openFiles: Limit | undefined): void {
  const limits = new Map<string, Limit>();
  if (openFiles !== undefined) limits.set("RLIMIT_NOFILE", openFiles);
  for (const { type, soft, hard } of rlimits) limits.set(type, { soft: limitValue(soft), hard: limitValue(hard) });
  for (const [type, { soft, hard }] of limits) {
    if (!(type in constants)) throw new Failure("InvalidArgument", `process.rlimits: "${type}" is no resource limit`);
    program.add({
      call: "prlimit64",
      // The test above makes the name one of the table's.
      args: [0, flag(type as ConstantName), words([soft, hard], `{${soft}, ${hard}}`), 0],
      does: `set ${type} to ${soft}:${hard}`,
      errors: {
        EPERM: `error setting rlimit type ${constants[type as keyof typeof constants]}: operation not permitted ` +
          `(${type} cannot be raised above this system's hard limit without CAP_SYS_RESOURCE)`,
      },
    });
  }
}

/**
 * Working directory, groups, user. The directory is entered as root, or, where root may not (a network file system),
 * as the user.
 */
function addIdentity(program: Program, process: Process, facts: FinishInput["facts"]): void {
  const refused = new Label("enter_as_user");
  const done = new Label("user_set");
  enterDirectory(program, process.cwd, facts.arch, refused);
  addUser(program, process, facts, done);
  program.bind(refused);
  addUser(program, process, facts);
  enterDirectory(program, process.cwd, facts.arch);
  program.bind(done);
  program.add({ call: "prctl", args: [flag("PR_SET_KEEPCAPS"), 0, 0, 0, 0], does: "become the user" });
}

/** Keeps the capabilities over the change of user; they are reduced afterwards. */
function addUser(program: Program, { user }: Process, { isOrdinaryUser }: FinishInput["facts"], then?: Label): void {
  const does = `become user ${user.uid}:${user.gid}`;
  program.add({ call: "prctl", args: [flag("PR_SET_KEEPCAPS"), 1, 0, 0, 0], does });
  const groups = user.additionalGids ?? [];
  const list = room(groups.length * 4, `[${groups.join(", ")}]`);
  const view = new DataView(list.bytes.buffer);
  groups.forEach((gid, index) => view.setUint32(index * 4, gid, true));
  // In the namespace of an ordinary user nobody may leave a group: it can be one that shuts him out.
  const allow = isOrdinaryUser && groups.length === 0 ? ["EPERM"] as const : [];
  program.add({ call: "setgroups", args: [groups.length, list], does, allow });
  program.add({ call: "setresgid", args: [user.gid, user.gid, user.gid], does });
  const step = { call: "setresuid" as const, args: [user.uid, user.uid, user.uid], does };
  program.add(then === undefined ? step : { ...step, then });
}

/** chdir(2) that follows no magic link; where it is refused the program goes on at the label, or fails. */
function enterDirectory(program: Program, cwd: string, arch: Facts["arch"], refused?: Label): void {
  const does = `enter the working directory "${cwd}"`;
  const how = openHow(arch, ["O_PATH", "O_DIRECTORY", "O_CLOEXEC"], ["RESOLVE_NO_MAGICLINKS"]);
  const allowed = refused === undefined ? {} : { allow: ["EACCES", "EPERM"] as const, otherwise: refused };
  const directory = program.result("cwd", {
    call: "openat2",
    args: [flag("AT_FDCWD"), cwd, how, openHowSize],
    does,
    ...allowed,
    errors: { ELOOP: `${does}: it leads through a link of the kernel's, which may be a way out of the container` },
  });
  program.add({ call: "fchdir", args: [directory], does, ...allowed });
}

/** The container dies with the runtime. A change of user clears the signal, so this comes after it. */
export function addDeathSignal(program: Program): void {
  program.add({
    call: "prctl",
    args: [flag("PR_SET_PDEATHSIG"), flag("SIGKILL"), 0, 0, 0],
    does: "die with the runtime",
  });
}

/** Looks the command up, reports, waits, loads the filter and executes. */
function addExec(program: Program, input: FinishInput, filter: (() => void) | undefined, home: Data | undefined): void {
  const { process, facts, descriptors } = input;
  const keepsRight = filter !== undefined && !process.noNewPrivileges;
  // Who creates the container gives the listener its descriptor: that is not to wait for the start. Nor is a process to
  // wait with a right that the container has not.
  const early = facts.filter?.listener === true || keepsRight;
  const args = process.args ?? [];
  if (args.length === 0) throw new Failure("InvalidArgument", "process.args is empty: there is no command to run");
  const environment = containerEnvironment(process, facts.passwd);
  const command = new Command(program, {
    name: input.executable ?? args[0] ?? "",
    args,
    environment,
    ...(home === undefined ? {} : { home }),
    arch: facts.arch,
  });
  command.addLookup();
  if (early) filter?.();
  if (keepsRight) dropCapability(program, process.capabilities ?? {}, facts.lastCapability, filterCapability);
  if (descriptors.start !== undefined) {
    const does = "report that the container is created";
    program.add({ call: "write", args: [descriptors.report, "r", 1], does, expect: 1 });
    const wait = "wait for the start";
    program.add({ call: "read", args: [descriptors.start, room(8, "&byte"), 1], does: wait, expect: 1 });
  }
  if (!early) filter?.();
  // Who created the container may have gone by then.
  command.addExec(descriptors.start !== undefined);
}
