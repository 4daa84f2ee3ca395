/**
 * The commands of the OCI runtime that save containers and make them again: checkpoint, restore.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { constant } from "../../ffi/constants.ts";
import { OrphanReaper, signalPidfd, waitForChild } from "../../ffi/process.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { attempt } from "../../ffi/syscall.ts";
import { StateDirectory } from "../../shim/oci/container_state.ts";
import { checkpointContainer } from "../../shim/oci/criu/checkpoint.ts";
import type { CriuOptions } from "../../shim/oci/criu/criu_options.ts";
import { cgroupModes } from "../../shim/oci/criu/messages.ts";
import { restoreContainer, type RestoreOptions } from "../../shim/oci/criu/restore.ts";
import { deleteContainer, releaseContainer } from "../../shim/oci/delete.ts";
import { SignalForwarder } from "../../shim/oci/forward_signals.ts";
import { type FlagValues, parseFlags } from "../flags.ts";
import { bundleOf, loadBundle } from "./bundle.ts";
import { checkpointFlags, restoreFlags } from "./checkpoint_flags.ts";
import { giveStreams } from "./give_streams.ts";
import type { RuntimeLog } from "./log.ts";
import { oneId } from "./one_id.ts";
import { absolute, follow, inheritedStreams, openConsole, openForeground, writePidFile } from "./process_commands.ts";

const dialect = { singleDashLong: true } as const;

/** Flags before the command that these listen to. */
interface Global {
  readonly criu: string;
  readonly systemdCgroup: boolean;
}

/** `checkpoint ID`: saves the container, and deletes it unless it goes on. */
export async function checkpoint(root: string, args: string[], log: RuntimeLog, { criu }: Global): Promise<void> {
  const { flags, args: positionals } = parseFlags(checkpointFlags, args, dialect);
  const directory = new StateDirectory(root, oneId("checkpoint", positionals));
  // Nothing is made for a container that is not there.
  directory.read();
  const options = {
    ...commonOptions(flags, criu),
    leaveRunning: flags.leaveRunning,
    preDump: flags.preDump,
    parentPath: parentPathOf(flags),
    pageServer: flags.pageServer,
    statusFd: statusDescriptor(flags.statusFd),
  };
  using reactor = new Reactor();
  await checkpointContainer(reactor, directory, options, { alone: true });
  if (flags.leaveRunning || flags.preDump || flags.keep) return;
  await deleteContainer(directory, { force: true, warn: (message) => log.warn(message) });
}

/** Makes the directory that it is relative to. Throws in runc's words where it is absolute, or no directory. */
function parentPathOf({ imagePath, parentPath }: FlagValues<typeof checkpointFlags>): string | undefined {
  if (parentPath === undefined || parentPath === "") return undefined;
  if (parentPath.startsWith("/")) throw new Failure("InvalidArgument", "--parent-path must be relative");
  const images = imagesOf(imagePath);
  Deno.mkdirSync(images, { recursive: true, mode: 0o700 });
  const path = `${images}/${parentPath}`;
  let isDirectory: boolean;
  try {
    ({ isDirectory } = Deno.statSync(path));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const text = `invalid --parent-path: stat ${path}: no such file or directory`;
    throw new Failure("InvalidArgument", text, { cause: error });
  }
  if (!isDirectory) throw new Failure("InvalidArgument", `invalid --parent-path: stat ${path}: not a directory`);
  return parentPath;
}

/** Throws `InvalidArgument` where it is not open for writing. */
function statusDescriptor(number: number | undefined): number | undefined {
  if (number === undefined) return undefined;
  const mode = attempt("fcntl", number, constant("F_GETFL"));
  if (mode < 0) throw new Failure("InvalidArgument", `invalid --status-fd argument ${number}: bad file descriptor`);
  if ((mode & 3) === constant("O_RDONLY")) {
    throw new Failure("InvalidArgument", `invalid --status-fd argument ${number}: not writable`);
  }
  return number;
}

function imagesOf(path: string | undefined): string {
  return absolute(path === undefined || path === "" ? "checkpoint" : path)!;
}

function commonOptions(
  flags: FlagValues<typeof checkpointFlags> | FlagValues<typeof restoreFlags>,
  program: string,
): CriuOptions {
  const { tcpEstablished, extUnixSk, shellJob, fileLocks, autoDedup, lazyPages, workPath } = flags;
  return {
    ...{ program, tcpEstablished, extUnixSk, shellJob, fileLocks, autoDedup, lazyPages },
    imagePath: imagesOf(flags.imagePath),
    workPath: workPath === "" ? undefined : absolute(workPath),
    manageCgroupsMode: cgroupsMode(flags.manageCgroupsMode),
    emptyNamespaces: flags.emptyNs.reduce((sum, type) => sum | emptyNamespace(type), 0),
  };
}

function cgroupsMode(text: string): keyof typeof cgroupModes {
  // Looked up in the very table.
  if (Object.hasOwn(cgroupModes, text)) return text as keyof typeof cgroupModes;
  throw new Failure("InvalidArgument", "Invalid manage-cgroups-mode value");
}

function emptyNamespace(type: string): number {
  if (type === "network") return constant("CLONE_NEWNET");
  throw new Failure("InvalidArgument", `namespace ${JSON.stringify(type)} is not supported`);
}

/** `restore ID`: makes the container again, and without `--detach` waits for its end. */
export async function restore(root: string, args: string[], log: RuntimeLog, global: Global): Promise<number> {
  const { flags, args: positionals } = parseFlags(restoreFlags, args, dialect);
  const id = oneId("restore", positionals);
  if (flags.noPivot) {
    throw new Failure(
      "NotImplemented",
      "--no-pivot is not supported: criu changes the root by pivot_root; leave it out",
    );
  }
  const pidFile = absolute(flags.pidFile);
  const common = commonOptions(flags, global.criu);
  const bundle = bundleOf(flags.bundle);
  const { spec, root: source } = loadBundle(bundle);
  // A bundle's root is a directory.
  const rootPath = source.kind === "directory" ? source.path : source.mountpoint;
  const terminal = spec.process?.terminal === true;
  const reactor = new Reactor();
  using console = openConsole(terminal, flags.consoleSocket, flags.detach);
  if (flags.detach && !terminal && spec.process !== undefined) giveStreams(spec.process.user, spec);
  using signals = flags.detach ? undefined : new SignalForwarder();
  using foreground = flags.detach ? undefined : openForeground(reactor, terminal, spec.process);
  const options: RestoreOptions = {
    flags: { ...common, lsmProfile: flags.lsmProfile, lsmMountContext: flags.lsmMountContext },
    ...{ stateRoot: root, id, spec, bundle, root: rootPath, alone: true },
    streams: foreground?.streams ?? inheritedStreams(console?.number),
    systemdCgroup: global.systemdCgroup,
  };
  const restored = await restoreContainer(reactor, options);
  for (const property of restored.withoutEffect) log.warn(`${property} has no effect with this host's cgroups`);
  const { pidfd, state } = restored;
  try {
    if (pidFile !== undefined) writePidFile(pidFile, state.pid);
  } catch (error) {
    signalPidfd(pidfd.number, constant("SIGKILL"));
    await waitForChild(reactor, pidfd.number);
    await releaseContainer(restored);
    throw error;
  }
  if (foreground === undefined || signals === undefined) return 0;
  using _reaper = flags.noSubreaper ? undefined : new OrphanReaper(reactor, (pid) => pid === state.pid);
  const code = await follow(reactor, pidfd.number, foreground, signals);
  await releaseContainer(restored, (message) => log.warn(message));
  return code;
}
