/**
 * All containers of a shim.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import type { CreateTaskRequest } from "../../api/gen/runtime/task/v2/shim.ts";
import type { Process, Spec } from "../../api/oci/runtime_spec.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { within } from "../../ffi/timer.ts";
import { parseSpec } from "../oci/spec/parse.ts";
import type { Children } from "./children.ts";
import { Container } from "./container.ts";
import type { Owner, Surroundings } from "./container_options.ts";
import type { Engine, RestoreSource } from "./engine.ts";
import { LibraryEngine } from "./library_engine.ts";
import { type PreparedRoot, prepareRoot, unmountAll } from "./root_mounts.ts";
import { requestedOptions } from "./requested_options.ts";
import { type RuntimeOptions, stateRootOf, writeOptions } from "./runtime_options.ts";

/** How long who asks for a container waits until it is made. */
const creationMsMax = 10_000;

/** What is told of containers that come and go. */
export interface ContainersObserver {
  /** A container is to be made. Throws where there is no place for it. */
  coming(id: string): void;
  /** One has gone, or was not made. */
  gone(id: string): void;
}

/** See the module. */
export class Containers {
  readonly #containers = new Map<string, Container>();
  readonly #coming = new Map<string, Promise<unknown>>();

  constructor(
    readonly around: Surroundings,
    readonly children: Children,
    readonly namespace: string,
    readonly observer: ContainersObserver,
  ) {}

  /** How many there are, those that are being made included. */
  get count(): number {
    return this.#containers.size + this.#coming.size;
  }

  /** The container; undefined where it was not created, or is being created. */
  get(id: string): Container | undefined {
    return this.#containers.get(id);
  }

  /**
   * As {@link get}, for clients that may ask before they hear of the creation: it is waited for, at most 10 s. One that has
   * written all of a container's input wants to close it, and asks for the container first.
   */
  async whenMade(id: string): Promise<Container | undefined> {
    const coming = this.#coming.get(id);
    if (coming !== undefined) await within(this.around.reactor, coming, creationMsMax);
    return this.get(id);
  }

  /** Those that were created and not deleted. */
  all(): Container[] {
    return [...this.#containers.values()];
  }

  /** Creates a container. Throws `AlreadyExists`, and with runc's wording what the runtime refuses. */
  async create(request: CreateTaskRequest): Promise<Container> {
    return await this.add(request.id, () => this.#create(request));
  }

  /** Adds the container that `make` gives. Throws `AlreadyExists`, and what `make` throws. */
  async add(id: string, make: () => Promise<Container>): Promise<Container> {
    if (this.#containers.has(id) || this.#coming.has(id)) throw new Failure("AlreadyExists", `container ${id}`);
    this.observer.coming(id);
    const made = Promise.withResolvers<void>();
    this.#coming.set(id, made.promise);
    try {
      const container = await make();
      this.#containers.set(id, container);
      return container;
    } catch (error) {
      this.observer.gone(id);
      throw error;
    } finally {
      this.#coming.delete(id);
      made.resolve();
    }
  }

  async #create(request: CreateTaskRequest): Promise<Container> {
    const { id, bundle, terminal, stdin, stdout, stderr, rootfs: mounts } = request;
    const options = await requestedOptions(request.options);
    writeOptions(bundle, options);
    const restoredFrom = restoreSource(request, options);
    const external = options.binaryName !== "" || restoredFrom !== undefined;
    const spec = readSpec(bundle, terminal);
    const root = await prepare(() =>
      this.children.making(() => prepareRoot(this.around.reactor, { spec, bundle, mounts, external }))
    );
    try {
      const container = new Container(this.around, {
        id,
        namespace: this.namespace,
        bundle,
        stdio: { terminal, stdin, stdout, stderr },
        engine: await this.#engine(request, options, spec, root),
        ownerOf: (process) => ownerOf(options, spec, process),
        process: spec.process,
        mounted: root.mounted,
        sharesPidNamespace: sharesPidNamespace(spec),
        restoredFrom,
      });
      await container.create();
      return container;
    } catch (error) {
      if (root.mounted !== undefined) await unmountAll(root.mounted);
      throw error;
    }
  }

  async #engine(
    { id, bundle }: CreateTaskRequest,
    options: RuntimeOptions,
    spec: Spec,
    root: PreparedRoot,
  ): Promise<Engine> {
    const { reactor, log } = this.around;
    if (options.binaryName !== "") {
      const { ProgramEngine } = await import("./program_engine.ts");
      return new ProgramEngine(reactor, this.children, { id, bundle, options, namespace: this.namespace });
    }
    return new LibraryEngine(reactor, this.children, {
      id,
      spec,
      bundle,
      stateRoot: stateRootOf(options, this.namespace, bundle),
      root: root.source,
      openFiles: readLaunch().nofile,
      systemdCgroup: options.systemdCgroup,
      noPivot: options.noPivotRoot,
      newKeyring: !options.noNewKeyring,
      warn: (text) => log.warn(`${id}: ${text}`),
    });
  }

  /** Deletes a container that does not run. */
  async delete(container: Container): Promise<void> {
    const { id } = container.options;
    await container.delete();
    // A second call that came meanwhile has deleted it as well.
    if (this.#containers.delete(id)) this.observer.gone(id);
  }
}

/** The checkpoint that a request names; undefined where its container begins anew. */
function restoreSource(
  { bundle, checkpoint, parentCheckpoint }: CreateTaskRequest,
  { criuWorkPath }: RuntimeOptions,
): RestoreSource | undefined {
  if (checkpoint === "") return undefined;
  if (parentCheckpoint !== "") {
    throw new Failure("NotImplemented", "a parent checkpoint cannot be named: images know their own");
  }
  return { imagePath: checkpoint, workPath: criuWorkPath === "" ? `${bundle}/criu-work` : criuWorkPath };
}

function readSpec(bundle: string, terminal: boolean): Spec {
  let text: string;
  try {
    text = Deno.readTextFileSync(`${bundle}/config.json`);
  } catch (error) {
    throw new Failure("NotFound", `open ${bundle}/config.json: no such file or directory`, { cause: error });
  }
  const spec = parseSpec(text);
  if (spec.process !== undefined) spec.process.terminal = terminal;
  return spec;
}

async function prepare<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("Unknown", `failed to prepare the root file system: ${messageOf(error)}`, { cause: error });
  }
}

/** Whether processes of the container may outlive its init. */
export function sharesPidNamespace(spec: Spec): boolean {
  return !spec.linux?.namespaces?.some(({ type, path }) => type === "pid" && !path);
}

/** The owner of a process's pipes: as the options say, else the host's ids of its user. */
export function ownerOf({ ioUid, ioGid }: RuntimeOptions, spec: Spec, process: Process | undefined): Owner {
  if (ioUid !== 0 || ioGid !== 0) return { uid: ioUid, gid: ioGid };
  const { uid = 0, gid = 0 } = process?.user ?? {};
  return { uid: onHost(uid, spec.linux?.uidMappings), gid: onHost(gid, spec.linux?.gidMappings) };
}

function onHost(id: number, mappings: readonly { containerID: number; hostID: number; size: number }[] = []): number {
  const mapping = mappings.find(({ containerID, size }) => id >= containerID && id < containerID + size);
  return mapping === undefined ? id : mapping.hostID + id - mapping.containerID;
}
