/**
 * The life of one container of `barge run`, from its image to its removal.
 *
 * What it makes, in this order: a lease, a snapshot and a row under the lease, a bundle directory, and then what the
 * runtime makes. It is removed in the opposite order. Where this process is killed, the lease's lock is free and the
 * next run removes all of it.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import type { ImageConfig } from "../../api/oci/image_spec.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { openStore, type Store } from "../../daemon/store.ts";
import { reapAbandoned } from "../../daemon/leases/abandoned.ts";
import type { FileLock } from "../../daemon/leases/file_lock.ts";
import type { OwnedLease } from "../../daemon/leases/lease_store.ts";
import type { NewContainer } from "../../daemon/metadata/container_store.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { exitCode, waitForChild } from "../../ffi/process.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { StateDirectory } from "../../shim/oci/container_state.ts";
import { createContainer, type Created } from "../../shim/oci/create.ts";
import { deleteContainer, releaseContainer } from "../../shim/oci/delete.ts";
import { type Foreground, leaveRawMode, PipedForeground, TerminalForeground } from "../../shim/oci/foreground.ts";
import { SignalForwarder } from "../../shim/oci/forward_signals.ts";
import { setsHome } from "../../shim/oci/plan/environment.ts";
import type { RootSource } from "../../shim/oci/plan/facts.ts";
import { Bundle } from "./bundle.ts";
import { defaultFilter } from "./default_filter.ts";
import { exitCodeOf, reportFailure } from "./exit.ts";
import { findImage } from "./find_image.ts";
import type { RunCommand } from "./flags.ts";
import { readHostFacts } from "./host_facts.ts";
import { readFromRoot, rootSource } from "./root_source.ts";
import { parseSeccompProfile } from "./seccomp_profile.ts";
import { buildSpec, type HostFacts, type RunSpec } from "./spec.ts";
import { resolveUser } from "./user.ts";
import { parseEnvironmentFile, resolveEnvironment } from "./values/environment.ts";

/** Runs the container in the foreground; gives the exit code of its program. */
export async function runContainer(command: RunCommand): Promise<number> {
  const uid = Deno.uid();
  if (uid !== 0) {
    throw new Failure("PermissionDenied", `barge run needs root, and this is user ${uid}: use sudo or a root shell`);
  }
  using interruption = new Interruption();
  const { root, state } = command.flags;
  const store = await openStore(absolute(root), { signal: interruption.signal });
  const run = new Run(store, command, absolute(state));
  try {
    await run.cleanUpAfterOthers();
    return await run.perform(interruption);
  } finally {
    leaveRawMode();
    // The database is left open: closing would fold its log, which costs this process and the next one 2 ms.
    await run.remove();
  }
}

/** A run that was interrupted has so long to end by itself. What it leaves then is removed by the next one. */
const endingMs = 4_000;

/** SIGINT, SIGTERM and SIGHUP as an abort signal, until a container takes them over. */
class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #listeners: [Deno.Signal, () => void][];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#listeners = (["SIGINT", "SIGTERM", "SIGHUP"] as const).map((name) => [name, () => this.#interrupt(name)]);
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
  }

  #interrupt(name: Deno.Signal): void {
    const reason = new Failure("Canceled", `interrupted by ${name}`);
    this.#controller.abort(reason);
    this.#timer ??= setTimeout(() => {
      reportFailure(reason);
      Deno.exit(exitCodeOf(reason));
    }, endingMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From here on the signals are somebody else's. */
  [Symbol.dispose](): void {
    // Loading the timers costs 5 ms, which only a run that is interrupted has to spend.
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    for (const [name, listener] of this.#listeners.splice(0)) Deno.removeSignalListener(name, listener);
  }
}

/** Docker's ids: 32 random bytes in hexadecimal. */
function newId(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toHex();
}

class Run {
  readonly #id: string;
  readonly #bundle: Bundle;
  readonly #stateRoot: string;
  #lease: OwnedLease | undefined;
  #snapshot: { snapshotter: string; key: string } | undefined;
  #upper: FileLock | undefined;
  #hasRow = false;
  #hasBundle = false;
  #created: Created | undefined;
  /** Whether the container's init was reaped. */
  #ended = false;
  #finished = false;

  constructor(readonly store: Store, readonly command: RunCommand, state: string) {
    this.#id = command.flags.name ?? newId();
    this.#bundle = new Bundle(`${state}/bundles/${this.#id}`);
    this.#stateRoot = `${state}/oci`;
  }

  /** Removes what killed runs have left, in the store and outside. */
  async cleanUpAfterOthers(): Promise<void> {
    await reapAbandoned(this.store, async ({ id, specPath }) => {
      if (specPath === undefined) return;
      const bundle = Bundle.of(specPath);
      await deleteContainer(new StateDirectory(bundle.stateRoot, id), { force: true });
      bundle.remove();
    });
  }

  async perform(interruption: Interruption): Promise<number> {
    const { flags, keep } = this.command;
    const host = readHostFacts(this.command);
    const { root, config } = await this.#prepareRoot(interruption.signal);
    const { spec, hasDefaultFilter, volumes } = this.#makeSpec(root, config, host);
    using reactor = new Reactor();
    using foreground = openForeground(reactor, flags.tty, flags.interactive, spec);
    interruption.signal.throwIfAborted();
    using signals = new SignalForwarder();
    interruption[Symbol.dispose]();
    this.#created = await createContainer(reactor, {
      stateRoot: this.#stateRoot,
      id: this.#id,
      spec,
      specFile: this.#bundle.specPath,
      bundle: this.#bundle.path,
      root,
      streams: foreground.streams,
      start: "at once",
      dieWithParent: true,
      alone: true,
      volumes,
      openFiles: readLaunch().nofile,
      ...(hasDefaultFilter ? { filter: defaultFilter(host.arch) } : {}),
    });
    const { pidfd } = this.#created.launched.child;
    signals.forwardTo(pidfd);
    foreground.attach();
    const status = await waitForChild(reactor, pidfd, foreground.idleMs);
    this.#ended = true;
    await foreground.drained();
    this.#finished = keep;
    return exitCode(status);
  }

  /** The root file system: a directory, or a snapshot of the image. */
  async #prepareRoot(signal: AbortSignal): Promise<{ root: RootSource; config: ImageConfig["config"] }> {
    const { flags, image, keep } = this.command;
    if (flags.rootfs) {
      const path = rootDirectory(image);
      this.#lease = await this.store.leases.own("run");
      await this.#makeRow({});
      this.#makeBundle();
      return { root: { kind: "directory", path }, config: {} };
    }
    const view = await findImage(this.store, { ...flags, image }, signal);
    const snapshotter = this.store.snapshotter(flags.snapshotter);
    this.#lease = await this.store.leases.own("run");
    const mounts = await snapshotter.prepare(this.#id, {
      lease: this.#lease.id,
      ...(view.chainId === undefined ? {} : { parent: view.chainId }),
    }).catch((error) => {
      // The user knows of no snapshots: it is the container's name that is taken.
      throw isFailure(error, "AlreadyExists") ? nameTaken(this.#id, error) : error;
    });
    this.#snapshot = { snapshotter: flags.snapshotter, key: this.#id };
    // Two overlays on one upper directory destroy it, and the kernel only warns.
    this.#upper = await snapshotter.lockSnapshot(this.#id);
    await this.#makeRow({ image: view.name, snapshotter: flags.snapshotter, snapshotKey: this.#id });
    this.#makeBundle();
    const root = rootSource(mounts, {
      directory: `${snapshotter.directory}/snapshots`,
      mountpoint: this.#bundle.rootfs,
      volatile: !keep,
    });
    return { root, config: view.config.config };
  }

  /** The row by which others find the container, and what is left of it should this process be killed. */
  async #makeRow(origin: Pick<NewContainer, "image" | "snapshotter" | "snapshotKey">): Promise<void> {
    await this.store.containers.create({
      ...origin,
      id: this.#id,
      specPath: this.#bundle.specPath,
      ...(this.command.keep || this.#lease === undefined ? {} : { lease: this.#lease.id }),
    });
    this.#hasRow = true;
  }

  /** The spec, written into the bundle together with the files that it binds. */
  #makeSpec(root: RootSource, config: ImageConfig["config"], host: HostFacts): RunSpec {
    const { flags, seccomp } = this.command;
    const { environment } = readLaunch();
    const userFiles = { passwd: readFromRoot(root, "etc/passwd"), group: readFromRoot(root, "etc/group") };
    const user = resolveUser(flags.user ?? config?.User ?? "", userFiles);
    const files = flags.envFile.map((path) => parseEnvironmentFile(readText(path, "--env-file"), path));
    const built = buildSpec({
      id: this.#id,
      command: this.command,
      image: config ?? {},
      user,
      environment: resolveEnvironment(files, flags.env, (name) => environment.get(name)),
      ...(seccomp === "builtin" || seccomp === "unconfined"
        ? {}
        : { profile: parseSeccompProfile(seccomp, readText(seccomp, "--security-opt seccomp")) }),
      workingDirectory: Deno.cwd(),
      host,
      rootPath: root.kind === "directory" ? root.path : root.mountpoint,
      filesDirectory: this.#bundle.path,
      ...(flags.tty && Deno.stdout.isTerminal() ? { consoleSize: consoleSize() } : {}),
    });
    const { process } = built.spec;
    if (process !== undefined && !setsHome(process)) {
      process.env = [...process.env ?? [], `HOME=${user.home}`];
    }
    for (const { path, create } of built.sources) if (create) makeSource(path);
    this.#bundle.write(built.spec, built.files);
    return built;
  }

  /** Another container of this name keeps its own. */
  #makeBundle(): void {
    this.#bundle.create();
    this.#hasBundle = true;
  }

  /** Removes everything that was made; with `--keep` only what a stopped container does not need. */
  async remove(): Promise<void> {
    if (this.#created !== undefined) await this.#removeContainer(this.#created);
    this.#upper?.release();
    if (this.#finished) {
      await this.#lease?.end();
      return;
    }
    if (this.#hasBundle) this.#bundle.remove();
    const { store } = this;
    const lease = this.#lease;
    const snapshot = this.#snapshot;
    if (lease === undefined) return;
    const cleaning = await store.database.transaction(() => {
      if (this.#hasRow) store.containers.deleteInside(this.#id);
      const files = snapshot && store.snapshotter(snapshot.snapshotter).removeInside(snapshot.key);
      return { files, unlock: lease.endInside() };
    }, { durable: false, frees: true });
    await cleaning.files?.();
    cleaning.unlock();
  }

  async #removeContainer(created: Created): Promise<void> {
    if (this.#ended) await releaseContainer(created);
    else await deleteContainer(created.directory, { force: true });
  }
}

function nameTaken(name: string, cause: unknown): Failure {
  const message = `container "${name}" already exists: choose another name or remove it`;
  return new Failure("AlreadyExists", message, { cause });
}

function openForeground(reactor: Reactor, tty: boolean, interactive: boolean, spec: Spec): Foreground {
  if (tty) {
    if (interactive && !Deno.stdin.isTerminal()) {
      throw new Failure("InvalidArgument", "the input device is not a TTY: leave out -t, or use a terminal");
    }
    // As docker's, the terminal is what programs know.
    return new TerminalForeground(reactor, interactive, false);
  }
  const { uid = 0, gid = 0 } = spec.process?.user ?? {};
  return new PipedForeground(reactor, { interactive, uid, gid });
}

/** The caller's directory that a path is counted from. */
function absolute(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}

function rootDirectory(path: string): string {
  try {
    const real = Deno.realPathSync(path);
    if (Deno.statSync(real).isDirectory) return real;
  } catch (error) {
    throw new Failure("NotFound", `--rootfs: directory "${path}" does not exist`, { cause: error });
  }
  throw new Failure("InvalidArgument", `--rootfs: "${path}" is not a directory`);
}

function readText(path: string, flag: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new Failure("NotFound", `${flag}: cannot read "${path}": ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

function makeSource(path: string): void {
  try {
    Deno.statSync(path);
  } catch {
    Deno.mkdirSync(path, { recursive: true });
  }
}

function consoleSize(): { height: number; width: number } {
  const { rows, columns } = Deno.consoleSize();
  return { height: rows, width: columns };
}
