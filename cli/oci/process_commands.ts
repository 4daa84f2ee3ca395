/**
 * The commands of the OCI runtime that make processes: create, run, exec.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Process, Spec } from "../../api/oci/runtime_spec.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { exitCode, OrphanReaper, waitForChild } from "../../ffi/process.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { sendDescriptor } from "../../ffi/send_descriptor.ts";
import { connectUnix } from "../../ffi/socket.ts";
import { attempt } from "../../ffi/syscall.ts";
import { specOf, StateDirectory } from "../../shim/oci/container_state.ts";
import { createContainer, type Created, type CreatePhase } from "../../shim/oci/create.ts";
import { releaseContainer } from "../../shim/oci/delete.ts";
import { execInContainer } from "../../shim/oci/exec.ts";
import { type Foreground, PipedForeground, TerminalForeground } from "../../shim/oci/foreground.ts";
import { SignalForwarder } from "../../shim/oci/forward_signals.ts";
import type { Launched, Preserved, Streams } from "../../shim/oci/launch.ts";
import { parseProcess } from "../../shim/oci/spec/parse.ts";
import { type FlagValues, parseFlags } from "../flags.ts";
import { bundleOf, loadBundle } from "./bundle.ts";
import { giveStreams } from "./give_streams.ts";
import { createFlags, execFlags, type globalFlags, isRootless, runFlags } from "./flags.ts";
import type { RuntimeLog } from "./log.ts";
import type { Notified } from "./notify.ts";
import { oneId, UsageFailure } from "./one_id.ts";
import { processWarnings, specWarnings } from "./spec_warnings.ts";

const dialect = { singleDashLong: true } as const;

/** Flags before the command that decide how a container is made. */
type CreationFlags = Pick<FlagValues<typeof globalFlags>, "systemdCgroup" | "rootless">;

/** `create ID`: returns when init waits for its start. */
export async function create(
  root: string,
  args: string[],
  log: RuntimeLog,
  { systemdCgroup, rootless }: CreationFlags,
): Promise<void> {
  const { flags, args: positionals } = parseFlags(createFlags, args, dialect);
  const id = oneId("create", positionals);
  const pidFile = absolute(flags.pidFile);
  const bundle = bundleOf(flags.bundle);
  const { spec, root: rootSource } = loadBundle(bundle);
  const notified = await notifiedOf(root, id, spec, false);
  using reactor = new Reactor();
  using console = openConsole(spec.process?.terminal === true, flags.consoleSocket, true);
  if (console === undefined && spec.process !== undefined) giveStreams(spec.process.user, spec);
  const created = await createContainer(reactor, {
    stateRoot: root,
    id,
    spec,
    bundle,
    root: rootSource,
    streams: inheritedStreams(console?.number),
    start: "fifo",
    dieWithParent: false,
    alone: true,
    openFiles: readLaunch().nofile,
    newKeyring: !flags.noNewKeyring,
    noPivot: flags.noPivot,
    preserved: preservedDescriptors(flags.preserveFds),
    systemdCgroup,
    rootless: isRootless(rootless),
    stateMount: notified?.stateMount,
    phase: phases(log),
  });
  warnOf(created, log);
  await tellOf(reactor, created, flags.pidfdSocket, pidFile);
}

/** What `--debug` says of a phase that is over; callers know some of runc's words. */
const phaseTexts: Readonly<Record<CreatePhase, readonly string[]>> = {
  facts: ["facts of the host gathered"],
  plan: ["start planned"],
  state: ["state directory made"],
  cgroup: ["cgroups made"],
  clone: ["nsexec container setup: the first process is cloned"],
  setup: ["child process in init(): it is set up", "init: closing the pipe to signal completion"],
};

function phases(log: RuntimeLog): ((phase: CreatePhase) => void) | undefined {
  return log.debugs ? (phase) => phaseTexts[phase].forEach((text) => log.debug(text)) : undefined;
}

/** Tells the caller which process it is. Throws where that fails, and leaves no container nobody knows of. */
async function tellOf(reactor: Reactor, created: Created, pidfdSocket?: string, pidFile?: string): Promise<void> {
  const { launched } = created;
  try {
    sendPidfd(pidfdSocket, launched, "standard");
    if (pidFile !== undefined) writePidFile(pidFile, launched.child.pid);
  } catch (error) {
    await launched.kill(reactor);
    await releaseContainer(created);
    throw error;
  }
}

/** The container's way to say that it is ready, where the caller's service manager wants to know. Changes the spec. */
async function notifiedOf(root: string, id: string, spec: Spec, listens: boolean): Promise<Notified | undefined> {
  const host = readLaunch().environment.get("NOTIFY_SOCKET");
  if (!host || spec.process === undefined) return undefined;
  const { Notified } = await import("./notify.ts");
  return new Notified(absolute(root) ?? root, id, spec, host, listens);
}

function warnOf({ spec, withoutEffect }: Created, log: RuntimeLog): void {
  for (const warning of specWarnings(spec)) log.warn(warning);
  for (const property of withoutEffect) log.warn(`${property} has no effect with this host's cgroups`);
}

/** `run ID`: create and start, and without `--detach` wait for the end. */
export async function run(
  root: string,
  args: string[],
  log: RuntimeLog,
  { systemdCgroup, rootless }: CreationFlags,
): Promise<number> {
  const { flags, args: positionals } = parseFlags(runFlags, args, dialect);
  const id = oneId("run", positionals);
  const pidFile = absolute(flags.pidFile);
  const bundle = bundleOf(flags.bundle);
  const { spec, root: rootSource } = loadBundle(bundle);
  const notified = await notifiedOf(root, id, spec, true);
  const terminal = spec.process?.terminal === true;
  const reactor = new Reactor();
  using console = openConsole(terminal, flags.consoleSocket, flags.detach);
  if (flags.detach && !terminal && spec.process !== undefined) giveStreams(spec.process.user, spec);
  using signals = flags.detach ? undefined : new SignalForwarder();
  using foreground = flags.detach ? undefined : openForeground(reactor, terminal, spec.process);
  const created = await createContainer(reactor, {
    stateRoot: root,
    id,
    spec,
    bundle,
    root: rootSource,
    streams: foreground?.streams ?? inheritedStreams(console?.number),
    start: "at once",
    dieWithParent: false,
    alone: true,
    openFiles: readLaunch().nofile,
    newKeyring: !flags.noNewKeyring,
    noPivot: flags.noPivot,
    preserved: preservedDescriptors(flags.preserveFds),
    systemdCgroup,
    rootless: isRootless(rootless),
    stateMount: notified?.stateMount,
    phase: phases(log),
  });
  const { launched } = created;
  warnOf(created, log);
  await tellOf(reactor, created, flags.pidfdSocket, pidFile);
  if (foreground === undefined || signals === undefined) {
    await notified?.forwardUntilEnd(reactor, launched.child, (message) => log.warn(message));
    return 0;
  }
  // Without a pid namespace of its own the container's orphans are ours to reap.
  using _reaper = flags.noSubreaper ? undefined : new OrphanReaper(reactor, (pid) => pid === launched.child.pid);
  const end = new AbortController();
  // The manager is to watch this process: it ends as the container does, and with its exit code.
  const forwarding = notified?.forward(reactor, Deno.pid, end.signal, (message) => log.warn(message));
  const code = await follow(reactor, launched.child.pidfd, foreground, signals);
  end.abort();
  await forwarding;
  if (!flags.keep) await releaseContainer(created, (message) => log.warn(message));
  return code;
}

/** `exec ID COMMAND…`: a further process; without `--detach` waits for its end. */
export async function exec(root: string, args: string[], log: RuntimeLog): Promise<number> {
  const { flags, args: [id, ...command] } = parseFlags(execFlags, args, { ...dialect, interspersed: false });
  if (id === undefined) throw new UsageFailure('runc: "exec" requires a minimum of 1 argument(s)');
  const directory = new StateDirectory(root, id);
  const process = flags.process === undefined
    ? processFromFlags(directory, flags, command)
    : parseProcess(Deno.readTextFileSync(flags.process));
  const pidFile = absolute(flags.pidFile);
  const reactor = new Reactor();
  using console = openConsole(process.terminal === true, flags.consoleSocket, flags.detach);
  if (flags.detach && console === undefined) giveStreams(process.user, specOf(directory.read()));
  for (const warning of processWarnings(process)) log.warn(warning);
  using foreground = flags.detach ? undefined : openForeground(reactor, process.terminal === true, process);
  using signals = flags.detach ? undefined : new SignalForwarder();
  log.debug("nsexec container setup: the process joins the container");
  const launched = await execInContainer(reactor, directory, {
    process,
    streams: foreground?.streams ?? inheritedStreams(console?.number),
    openFiles: readLaunch().nofile,
    alone: true,
    ignorePaused: flags.ignorePaused,
    ...(flags.cgroup.length === 0 ? {} : { subCgroups: flags.cgroup }),
    preserved: preservedDescriptors(flags.preserveFds),
  });
  log.debug("child process in init(): it is set up");
  log.debug(`setns_init: about to exec, as process ${launched.child.pid}`);
  try {
    sendPidfd(flags.pidfdSocket, launched, "setns");
    if (pidFile !== undefined) writePidFile(pidFile, launched.child.pid);
  } catch (error) {
    await launched.kill(reactor);
    throw error;
  }
  if (foreground === undefined || signals === undefined) return 0;
  return await follow(reactor, launched.child.pidfd, foreground, signals);
}

/** Joins the streams, forwards signals, and waits for the end; gives the exit code. */
export async function follow(
  reactor: Reactor,
  pidfd: number,
  foreground: Foreground,
  signals: SignalForwarder,
): Promise<number> {
  signals.forwardTo(pidfd);
  foreground.attach();
  const status = await waitForChild(reactor, pidfd, foreground.idleMs);
  await foreground.drained();
  return exitCode(status);
}

/** Pipes or a terminal for a process that runs in the foreground. */
export function openForeground(reactor: Reactor, terminal: boolean, process: Process | undefined): Foreground {
  if (terminal) return new TerminalForeground(reactor, true, true);
  const { uid = 0, gid = 0 } = process?.user ?? {};
  return new PipedForeground(reactor, { interactive: true, uid, gid });
}

/** The caller's own streams; with a terminal the socket that its master goes to. */
export function inheritedStreams(console: number | undefined): Streams {
  return { stdin: 0, stdout: 1, stderr: 2, ...(console === undefined ? {} : { console }) };
}

/** Connects to the console socket where one is needed. Throws where terminal, socket and `--detach` contradict. */
export function openConsole(
  terminal: boolean,
  socket: string | undefined,
  detach: boolean,
): Descriptor | undefined {
  if (socket !== undefined && (!terminal || !detach)) {
    throw new Failure("InvalidArgument", "cannot use console socket if runc will not detach or allocate tty");
  }
  if (!terminal || !detach) return undefined;
  if (socket === undefined) {
    throw new Failure("InvalidArgument", "cannot allocate tty if runc will detach without setting console socket");
  }
  return connectUnix(socket);
}

/**
 * The caller's descriptors that the process gets: from 3 on those of its socket activation (sd_listen_fds(3)), where they
 * are meant for this process, and as many as the flag says after them. Throws `InvalidArgument` where one is not open.
 */
function preservedDescriptors(count: number): Preserved {
  const { environment } = readLaunch();
  const isOurs = environment.get("LISTEN_PID") === String(Deno.pid);
  const listening = isOurs ? Number(environment.get("LISTEN_FDS") ?? 0) : 0;
  const numbers = Array.from({ length: listening + count }, (_, index) => 3 + index);
  for (const number of numbers) {
    if (!isOpen(number)) {
      throw new Failure("InvalidArgument", `file descriptor ${number} is not open: --preserve-fds wants all of them`);
    }
  }
  return { numbers, listening };
}

/** Whether the caller left it open. Deno's own descriptors are closed at exec; those that were inherited are not. */
function isOpen(number: number): boolean {
  const flagsOf = attempt("fcntl", number, 1 /* F_GETFD */);
  return flagsOf >= 0 && (flagsOf & 1) === 0;
}

/** Gives a pidfd of the process to whoever listens; the text says whether it is the container's first. */
function sendPidfd(path: string | undefined, launched: Launched, text: "standard" | "setns"): void {
  if (path === undefined) return;
  using socket = connectUnix(path);
  sendDescriptor(socket.number, launched.child.pidfd, text);
}

/** Decimal, without a newline, complete when it appears under its name. */
export function writePidFile(path: string, pid: number): void {
  const slash = path.lastIndexOf("/");
  const temporary = `${path.slice(0, slash + 1)}.${path.slice(slash + 1)}`;
  Deno.writeTextFileSync(temporary, String(pid), { createNew: true, mode: 0o666 });
  Deno.renameSync(temporary, path);
}

/** A path that is counted from the working directory as the caller has it. */
export function absolute(path: string | undefined): string | undefined {
  return path === undefined || path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}

/** The container's own process with what the flags change. */
function processFromFlags(
  directory: StateDirectory,
  flags: FlagValues<typeof execFlags>,
  command: string[],
): Process {
  const own = specOf(directory.read()).process;
  if (own === undefined) throw new Failure("DataLoss", "the container's state has no process");
  if (command.length === 0) throw new Failure("InvalidArgument", "process args cannot be empty");
  const process: Process = { ...own, args: command, terminal: flags.tty, user: { ...own.user } };
  if (flags.cwd !== undefined) process.cwd = flags.cwd;
  process.env = [...own.env ?? [], ...flags.env];
  if (flags.user !== undefined) {
    process.user.uid = flags.user.uid;
    if (flags.user.gid !== undefined) process.user.gid = flags.user.gid;
  }
  if (flags.additionalGids.length > 0) {
    process.user.additionalGids = [...own.user.additionalGids ?? [], ...flags.additionalGids];
  }
  if (flags.processLabel !== undefined) process.selinuxLabel = flags.processLabel;
  if (flags.apparmor !== undefined) process.apparmorProfile = flags.apparmor;
  if (flags.noNewPrivs) process.noNewPrivileges = true;
  if (flags.cap.length > 0) {
    const add = (names: string[] | undefined): string[] => [...new Set([...names ?? [], ...flags.cap])];
    const sets = own.capabilities ?? {};
    process.capabilities = {
      ...sets,
      bounding: add(sets.bounding),
      effective: add(sets.effective),
      permitted: add(sets.permitted),
      ...(sets.inheritable?.length ? { ambient: add(sets.ambient) } : {}),
    };
  }
  return process;
}
