/**
 * Saves a running container with criu.
 *
 * @module
 */
import { Failure, messageOf } from "../../../api/errors.ts";
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { flags } from "../../../ffi/constants.ts";
import { openFile, writeOnce } from "../../../ffi/descriptor.ts";
import type { Reactor } from "../../../ffi/reactor.ts";
import { type ContainerState, specOf, type StateDirectory } from "../container_state.ts";
import { idMappedKeys } from "../id_mapped_mounts.ts";
import { resolveInRoot } from "../resolve_in_root.ts";
import { statusOf } from "../status.ts";
import { namesIn } from "../stream_names.ts";
import { criuVersion, requireFeature } from "./criu_abilities.ts";
import { withLog } from "./criu_log.ts";
import type { CheckpointOptions } from "./criu_options.ts";
import { writeStreamNames } from "./descriptors.ts";
import { openDirectories } from "./directories.ts";
import { dumpedMounts } from "./external_mounts.ts";
import { externalNamespaces } from "./namespaces.ts";
import { type Directories, type DumpFacts, dumpRequest, logNames } from "./requests.ts";
import { CriuSession } from "./session.ts";

/** From this version on criu freezes by cgroups of version 2. */
const freezesUnified = 31_400;
/** From this one on it says in a message when pages can be fetched. */
const tellsStatus = 31_500;

/** What {@link checkpointContainer} needs besides the flags. */
export interface CheckpointContext {
  /** Whether this process starts children in no other way any more, see `spawn`. */
  readonly alone: boolean;
}

/**
 * Saves the container. It has ended afterwards, unless it is to be left running; its state is still there. On failure it
 * goes on as before, and what criu has said is in the message, with the path of its log on the last line.
 *
 * Throws `FailedPrecondition` where the container does not run, or criu is missing or cannot do it.
 */
export async function checkpointContainer(
  reactor: Reactor,
  directory: StateDirectory,
  options: CheckpointOptions,
  { alone }: CheckpointContext,
): Promise<void> {
  const state = directory.read();
  const status = statusOf(directory, state);
  if (status === "created" || status === "stopped") {
    throw new Failure("FailedPrecondition", `Container cannot be checkpointed in ${status} state`);
  }
  const spec = specOf(state);
  refuseIdMapped(spec, state.bundle);
  const { program, preDump, lazyPages, imagePath } = options;
  const version = await criuVersion(reactor, program, alone);
  if (preDump) await requireFeature(reactor, program, alone, "memoryTracking");
  if (lazyPages) await requireFeature(reactor, program, alone, "lazyPages");
  using directories = openDirectories(options);
  if (!preDump) writeStreamNames(imagePath, state.streams ?? namesIn(state.pid, [0, 1, 2]));
  const request = dumpRequest(options, dumpFacts(spec, state, version, directories));
  using none = openFile("/dev/null", flags("O_RDWR"));
  const streams = { stdin: none.number, stdout: none.number, stderr: none.number };
  try {
    await CriuSession.start(reactor, { program, streams, alone }).perform(() => request, {
      notice: ({ script }) => {
        if (script === "status-ready") tellStatus(options);
        return Promise.resolve();
      },
      // After a dump of the memory alone it waits for the next request, and takes the end for a failure.
      endsWell: !preDump,
    });
  } catch (error) {
    throw withLog(error, `${directories.logPath}/${logNames.dump}`);
  }
}

/** criu would restore them without the maps, and the container's files would be another's. */
function refuseIdMapped(spec: Spec, bundle: string): void {
  if (idMappedKeys(spec, bundle).length === 0) return;
  throw new Failure("NotImplemented", "criu cannot save mounts with ids mapped: the container has some");
}

function dumpFacts(spec: Spec, state: ContainerState, version: number, directories: Directories): DumpFacts {
  const root = `/proc/${state.pid}/root`;
  const resolve = (path: string): string => resolveInRoot(root, path);
  const freezer = state.cgroup.find(({ controllers }) => controllers.includes("freezer")) ??
    (version >= freezesUnified ? state.cgroup.find((place) => place.version === 2) : undefined);
  return {
    directories,
    annotations: spec.annotations,
    root: state.rootfs,
    pid: state.pid,
    freezer: freezer?.path,
    mounts: dumpedMounts(spec, { bundle: state.bundle, cgroups: state.cgroup, resolve }, (path) => isFile(root + path)),
    external: externalNamespaces(spec, version, (path) => Deno.statSync(path).ino ?? 0),
    statusByCriu: version < tellsStatus,
  };
}

function isFile(path: string): boolean {
  try {
    return !Deno.lstatSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Says that pages can be fetched. Who waits for it may have gone. */
function tellStatus({ statusFd }: CheckpointOptions): void {
  if (statusFd === undefined) return;
  try {
    writeOnce(statusFd, new Uint8Array([0]));
  } catch (error) {
    console.error(`can't write \\0 to status fd: ${messageOf(error)}`);
  }
}
