/**
 * Taking over a container whose shim has died: its processes by pidfd, its streams by the ends that the daemon has kept.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import type { Process, Spec } from "../../api/oci/runtime_spec.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { foreignExit } from "../../ffi/foreign_exit.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { openPidfd } from "../../ffi/process.ts";
import { call } from "../../ffi/syscall.ts";
import { reopenEnds } from "../io/reopen_ends.ts";
import { resumeStandardStreams, type StandardStreams } from "../io/standard_streams.ts";
import type { ContainerEnds } from "../io/stream_ends.ts";
import { specOf, StateDirectory } from "../oci/container_state.ts";
import { parseSpec } from "../oci/spec/parse.ts";
import { processStat } from "../oci/status.ts";
import { Container } from "./container.ts";
import type { Containers } from "./containers.ts";
import { ownerOf, sharesPidNamespace } from "./containers.ts";
import type { Engine, LiveProcess } from "./engine.ts";
import { recordedExit } from "./exits.ts";
import { LibraryEngine } from "./library_engine.ts";
import { readOptions, type RuntimeOptions, stateRootOf } from "./runtime_options.ts";
import type { TakenDeposit } from "./take_deposit.ts";
import { TaskProcess } from "./task_process.ts";
import { type ProcessRecord, readTaskRecord, type TaskRecord } from "./task_record.ts";

/** What is to be taken over. */
export interface Adoption {
  readonly id: string;
  readonly bundle: string;
  /** Ids of the container and its execs whose exits were told of. */
  readonly told: ReadonlySet<string>;
  readonly deposit: TakenDeposit;
}

/** Nobody knows how it ended; as containerd says it. */
const unknownCode = 255;

/**
 * Takes a container over, with what runs in it and what has ended and was not deleted. Of a process that has ended
 * without a shim, the exit is told of now. Throws `FailedPrecondition` and `NotFound` where the bundle or the runtime's
 * state does not tell enough; nothing has happened to the container then.
 */
export async function adoptContainer(containers: Containers, adoption: Adoption): Promise<Container> {
  const { id, bundle } = adoption;
  const record = readTaskRecord(bundle);
  const options = readOptions(bundle);
  const { engine, spec } = await engineOf(containers, adoption, options);
  const status = await engine.adopt();
  const container = new Container(containers.around, {
    id,
    namespace: containers.namespace,
    bundle,
    stdio: record.stdio,
    engine,
    ownerOf: (process) => ownerOf(options, spec, process),
    process: spec.process,
    mounted: record.mounted,
    sharesPidNamespace: sharesPidNamespace(spec),
  });
  container.adoptStatus(status);
  await adoptProcesses(container, record, adoption);
  return container;
}

async function engineOf(
  { around: { reactor, log }, children, namespace }: Containers,
  { id, bundle }: Adoption,
  options: RuntimeOptions,
): Promise<{ engine: Engine; spec: Spec }> {
  if (options.binaryName !== "") {
    const { ProgramEngine } = await import("./program_engine.ts");
    const spec = parseSpec(Deno.readTextFileSync(`${bundle}/config.json`));
    return { engine: new ProgramEngine(reactor, children, { id, bundle, options, namespace }), spec };
  }
  const stateRoot = stateRootOf(options, namespace, bundle);
  const state = new StateDirectory(stateRoot, id).read();
  const spec = specOf(state);
  const engine = new LibraryEngine(reactor, children, {
    ...{ id, spec, bundle, stateRoot, systemdCgroup: options.systemdCgroup },
    root: { kind: "directory", path: state.rootfs },
    openFiles: readLaunch().nofile,
    warn: (text) => log.warn(`${id}: ${text}`),
  });
  return { engine, spec };
}

/** Execs come first, as init's exit is told of after theirs. */
async function adoptProcesses(container: Container, record: TaskRecord, adoption: Adoption): Promise<void> {
  for (const { execId, stdio, spec, process: found } of record.execs) {
    const process = new TaskProcess(adoption.id, execId, stdio);
    container.adoptExec({ process, spec });
    if (found === undefined) continue;
    process.status = "running";
    await adoptProcess(container, { process, found, spec }, adoption);
  }
  const { init, options } = container;
  await adoptProcess(container, { process: init, found: record.init, spec: options.process }, adoption);
}

async function adoptProcess(
  container: Container,
  { process, found, spec }: {
    readonly process: TaskProcess;
    readonly found: ProcessRecord;
    readonly spec: Process | undefined;
  },
  { bundle, told, deposit }: Adoption,
): Promise<void> {
  const given = deposit.take(process.execId, "pidfd");
  const recorded = recordedExit(bundle, process.id);
  const exit = recorded?.pid === found.pid ? recorded : undefined;
  process.pid = found.pid;
  process.streams = await streamsOf(container, process, spec, found, deposit);
  if (found.stdinClosed) process.closeStdin();
  if (exit === undefined) container.adoptLive(process, liveOf(container, found, given));
  else {
    given?.close();
    container.adoptEnded(process, { status: exit.status, at: exit.at }, told.has(process.id));
  }
}

function liveOf({ around: { reactor } }: Container, { pid, start }: ProcessRecord, given?: Descriptor): LiveProcess {
  const pidfd = given ?? openedPidfd(pid, start);
  const failure = () => undefined;
  if (pidfd === undefined) return { pid, pidfd: -1, ended: Promise.resolve({ code: unknownCode }), failure };
  const ended = foreignExit(reactor, { pid, start, pidfd: pidfd.number })
    .then((status) => status ?? { code: unknownCode })
    .finally(() => pidfd.close());
  return { pid, pidfd: pidfd.number, ended, failure };
}

/** Undefined where the process is gone, whoever has its number now. */
function openedPidfd(pid: number, start: string): Descriptor | undefined {
  if (start === "") return undefined;
  try {
    const pidfd = new Descriptor(openPidfd(pid));
    if (processStat(pid)?.start === start) return pidfd;
    pidfd.close();
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
  return undefined;
}

async function streamsOf(
  container: Container,
  process: TaskProcess,
  spec: Process | undefined,
  found: ProcessRecord,
  deposit: TakenDeposit,
): Promise<StandardStreams | undefined> {
  const { log } = container.around;
  const ends = endsOf(process, found, deposit);
  if (Object.keys(ends).length === 0) return undefined;
  if (process.stdio.terminal && ends.master === undefined) {
    for (const end of Object.values(ends)) end.close();
    log.warn(`${process.id}: its terminal is gone with the shim that held it`);
    return undefined;
  }
  const kept = Object.entries(ends).map(([name, end]) => [name, duplicate(end)] as const);
  const options = container.streamsOptions(process, spec);
  try {
    return await begun(container, options, ends);
  } catch (error) {
    log.warn(`${process.id}: what it prints is thrown away, as its streams cannot be opened: ${messageOf(error)}`);
    const { terminal } = process.stdio;
    const nowhere = { terminal, stdin: "", stdout: "/dev/null", stderr: terminal ? "" : "/dev/null" };
    const spare: ContainerEnds = Object.fromEntries(kept.splice(0));
    return await begun(container, { ...options, ...nowhere }, spare).catch(() => undefined);
  } finally {
    for (const [, end] of kept) end.close();
  }
}

async function begun(
  { around: { reactor } }: Container,
  options: Parameters<typeof resumeStandardStreams>[1],
  ends: ContainerEnds,
): Promise<StandardStreams> {
  const streams = await resumeStandardStreams(reactor, options, ends);
  try {
    await streams.begin();
    streams.takeInput();
    return streams;
  } catch (error) {
    await streams.close();
    throw error;
  }
}

/** What was kept; of what was not, what the process itself still has the other end of. */
function endsOf(process: TaskProcess, found: ProcessRecord, deposit: TakenDeposit): ContainerEnds {
  const ends: ContainerEnds = {};
  for (const name of ["stdin", "stdout", "stderr", "master", "logger"] as const) {
    const end = deposit.take(process.execId, name);
    if (end !== undefined) ends[name] = end;
  }
  if (Object.keys(ends).length > 0 || processStat(found.pid)?.start !== found.start) return ends;
  Object.assign(ends, reopenEnds(found.pid, found.pipes));
  const logger = found.logger === undefined ? undefined : openedPidfd(found.logger.pid, found.logger.start);
  if (logger !== undefined) ends.logger = logger;
  return ends;
}

function duplicate({ number }: Descriptor): Descriptor {
  return new Descriptor(call("fcntl", number, flags("F_DUPFD_CLOEXEC"), 0));
}
