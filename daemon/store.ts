/**
 * A store: one root directory with everything that barge keeps.
 *
 * @module
 */
import { Failure } from "../api/errors.ts";
import { checkIdentifier } from "../api/identifier.ts";
import { BlobFiles } from "./content/blob_files.ts";
import { ContentStore } from "./content/content_store.ts";
import { markAllForeign } from "./content/foreign_blobs.ts";
import { ImageStore } from "./images/image_store.ts";
import { LeaseStore } from "./leases/lease_store.ts";
import { ContainerStore } from "./metadata/container_store.ts";
import { Database } from "./metadata/database.ts";
import { diskFailure } from "./metadata/disk_failure.ts";
import { Objects } from "./metadata/objects.ts";
import { type TellStuck, Trash } from "./metadata/trash.ts";
import type { DirectorySnapshotter } from "./snapshots/directory_snapshotter.ts";
import {
  makeSnapshotterDirectories,
  type SnapshotterPlace,
  SnapshotterPlaces,
  usualSnapshotters,
} from "./snapshots/places.ts";
import { type OwnOptions, ownRoot, type RootLock, stockDatabase, visitRoot } from "./root_lock.ts";

const contentPart = "io.containerd.content.v1.content";
const metadataPart = "io.barge.metadata.v1.sqlite";

/** Names of the snapshotters that every store has. */
export type SnapshotterName = "overlayfs" | "native";

/** Options of {@link openStore}. */
export interface StoreOptions {
  /** The namespace of everything that is read and made. Default: `default`. */
  readonly namespace?: string;
  /** Ends the waiting for another process that has the database locked. */
  readonly signal?: AbortSignal;
}

/** An open root, seen from one namespace. Other processes may have it open as well. */
export class Store implements Disposable {
  readonly objects: Objects;
  readonly trash: Trash;
  readonly content: ContentStore;
  readonly snapshotters: ReadonlyMap<string, DirectorySnapshotter>;
  readonly images: ImageStore;
  readonly leases: LeaseStore;
  readonly containers: ContainerStore;

  readonly #lock: RootLock | undefined;

  /** `lock` is let go with the database. */
  constructor(
    readonly root: string,
    readonly database: Database,
    readonly namespace: string,
    lock?: RootLock,
    places = new SnapshotterPlaces(root, new Trash(`${root}/trash`, { here: true })),
  ) {
    this.#lock = lock;
    this.objects = new Objects(database, namespace);
    this.trash = places.trash;
    this.content = new ContentStore(this.objects, `${root}/${contentPart}`, this.trash);
    this.images = new ImageStore(this.objects);
    this.leases = new LeaseStore(this.objects, `${root}/leases`);
    this.containers = new ContainerStore(this.objects);
    this.snapshotters = places.of(this.objects);
  }

  /** The snapshotter of that name. Throws `InvalidArgument`. */
  snapshotter(name: string): DirectorySnapshotter {
    const snapshotter = this.snapshotters.get(name);
    if (snapshotter === undefined) {
      const known = [...this.snapshotters.keys()].join(" and ");
      throw new Failure("InvalidArgument", `snapshotter "${name}" is unknown: there are ${known}`);
    }
    return snapshotter;
  }

  /**
   * The snapshotter to use where the user named none: overlayfs, or native with the reason why not. Asking makes a
   * small overlay and costs a few milliseconds.
   */
  async defaultSnapshotter(): Promise<{ name: SnapshotterName; problem?: string }> {
    const { overlayProblem } = await import("./snapshots/overlay_probe.ts");
    const problem = await overlayProblem(`${this.root}/io.containerd.snapshotter.v1.overlayfs`);
    return problem === undefined ? { name: "overlayfs" } : { name: "native", problem };
  }

  /** Closes the database. A process that ends soon can leave it: nothing is lost, and the next one opens it faster. */
  close(): void {
    this.database.close();
    this.#lock?.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** So many namespaces' views are kept; making one costs microseconds, and names may come from strangers. */
const viewsMax = 1000;

/** An open root with the views of all its namespaces. */
export class Stores implements Disposable {
  readonly #views = new Map<string, Store>();

  readonly #lock: RootLock | undefined;
  readonly #trash: Trash;
  #places: SnapshotterPlaces;

  /** `lock` is let go with the database. */
  constructor(readonly root: string, readonly database: Database, lock?: RootLock) {
    this.#lock = lock;
    this.#trash = new Trash(`${root}/trash`);
    this.#places = new SnapshotterPlaces(root, this.#trash);
  }

  /**
   * Gives all namespaces these snapshotters instead of the usual ones, and makes their directories where they are missing.
   * To be called before the stores are used. Throws where a directory cannot be made.
   */
  useSnapshotters(places: readonly SnapshotterPlace[]): void {
    for (const place of places) {
      const { rootPath } = place;
      if (rootPath !== undefined && rootPath !== "") checkRootPath(rootPath);
      try {
        makeSnapshotterDirectories(this.root, place);
      } catch (error) {
        throw diskFailure(error, `use snapshotter "${place.form.name}"`, rootPath ?? this.root);
      }
    }
    this.#places = new SnapshotterPlaces(this.root, this.#trash, places);
    this.#views.clear();
  }

  /** Who is told about files that were thrown away and cannot be removed. Default: as `TrashOptions` has it. */
  tellStuck(tell: TellStuck): void {
    this.#trash.tell = tell;
  }

  /** The store as this namespace sees it. Whether the namespace exists is not looked at; its name was checked before. */
  of(namespace: string): Store {
    let view = this.#views.get(namespace);
    if (view === undefined) {
      if (this.#views.size >= viewsMax) this.#views.clear();
      this.#views.set(namespace, view = new Store(this.root, this.database, namespace, undefined, this.#places));
    }
    return view;
  }

  /** Names of the namespaces that exist, in order. Inside `Database.read` or a transaction. */
  namespaces(): string[] {
    return this.database.all<{ name: string }>("SELECT name FROM namespaces ORDER BY name").map(({ name }) => name);
  }

  /** As {@link Store.close}. */
  close(): void {
    this.database.close();
    this.#lock?.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens the store of a root directory, and makes it where there is none. `root` is an absolute path. Others may have it
 * open as well, but no daemon.
 *
 * Throws `PermissionDenied`, `FailedPrecondition` (read-only disk, a daemon's or a stock containerd's root, a newer
 * barge's store), `ResourceExhausted`, `Unavailable`, `InvalidArgument` for a path that cannot be used.
 */
export async function openStore(root: string, options: StoreOptions = {}): Promise<Store> {
  const namespace = options.namespace ?? "default";
  checkIdentifier(namespace);
  const [database, lock] = await openAsGuest(root, options.signal);
  return new Store(root, database, namespace, lock);
}

/** As {@link openStore}, for all namespaces. */
export async function openStores(root: string, signal?: AbortSignal): Promise<Stores> {
  const [database, lock] = await openAsGuest(root, signal);
  return new Stores(root, database, lock);
}

/**
 * As {@link openStores}, for a daemon: nobody else has the root open until it is closed. A stock containerd's root can be
 * owned as well while that is not running: its blobs and snapshots stay where they are, and blobs are used where they fit.
 */
export async function ownStores(root: string, options: OwnOptions = {}): Promise<Stores> {
  const { file, directory } = prepare(root);
  const lock = await ownRoot(root, directory, options);
  let database: Database | undefined;
  try {
    checkNotLost(root, file);
    database = await Database.open(file, options.signal, "owner");
    if (exists(`${root}/${stockDatabase}`)) await markAllForeign(database, new BlobFiles(`${root}/${contentPart}`));
    return new Stores(root, database, lock);
  } catch (error) {
    database?.close();
    lock.release();
    throw error;
  }
}

/**
 * A database is made before the first blob, except beside a stock containerd's. One that is missing or empty though there
 * are blobs was lost, and with a new one in its place they would be nobody's, and collected.
 */
function checkNotLost(root: string, file: string): void {
  if (sizeOf(file) > 0 || exists(`${root}/${stockDatabase}`)) return;
  const blobs = Deno.readDirSync(`${root}/${contentPart}/blobs/sha256`)[Symbol.iterator]().next();
  if (blobs.done === true) return;
  throw new Failure(
    "DataLoss",
    `open store: "${file}" is missing or empty, but there are blobs: put it back, or begin anew with barge doctor --repair`,
  );
}

/** 0 where there is none. */
function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0; // Whatever else the reason is, opening it will meet it and say so.
  }
}

async function openAsGuest(root: string, signal: AbortSignal | undefined): Promise<[Database, RootLock]> {
  if (exists(`${root}/${stockDatabase}`)) {
    throw new Failure(
      "FailedPrecondition",
      `open store: "${root}" belongs to a stock containerd, and two owners would delete each other's data: ` +
        `choose another directory with --root`,
    );
  }
  return await visit(root, signal);
}

/**
 * As {@link openStores}, also on the root of a stock containerd that runs: only to write rows for what that has. Nobody may
 * write or remove files meanwhile. Throws also as {@link checkStock}.
 */
export async function openBesideStock(root: string, signal?: AbortSignal): Promise<Stores> {
  checkStock(root);
  const [database, lock] = await visit(root, signal);
  return new Stores(root, database, lock);
}

/**
 * Looks whether this is the root of a stock containerd and no daemon of ours has it, and changes nothing. Throws
 * `FailedPrecondition`, `InvalidArgument` for a path that cannot be used.
 */
export function checkStock(root: string): void {
  checkRootPath(root);
  const directory = `${root}/${metadataPart}`;
  if (exists(directory)) visitRoot(root, directory).release();
  if (exists(`${root}/${stockDatabase}`)) return;
  throw new Failure(
    "FailedPrecondition",
    `"${root}" is not the root of a stock containerd: it has no "${stockDatabase}"`,
  );
}

async function visit(root: string, signal: AbortSignal | undefined): Promise<[Database, RootLock]> {
  const { file, directory } = prepare(root);
  const lock = visitRoot(root, directory);
  try {
    return [await Database.open(file, signal), lock];
  } catch (error) {
    lock.release();
    throw error;
  }
}

function checkRootPath(path: string): void {
  // A comma separates mount options, a backslash escapes, and control characters are nobody's wish.
  if (!path.startsWith("/") || /[,\\\p{Cc}]/u.test(path)) {
    throw new Failure(
      "InvalidArgument",
      `open store: "${path}" cannot be a root: want an absolute path without comma, backslash and control characters`,
    );
  }
}

/** Checks the root and makes its directories where they are missing. */
function prepare(root: string): { file: string; directory: string } {
  checkRootPath(root);
  const directory = `${root}/${metadataPart}`;
  const file = `${directory}/meta.db`;
  if (!exists(file)) makeDirectories(root);
  return { file, directory };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    // Whatever else the reason is, making or opening it will meet it and say so.
    return false;
  }
}

/** The database is made last, so that its presence says that the directories are there. */
function makeDirectories(root: string): void {
  try {
    const make = (path: string, mode: number) => {
      Deno.mkdirSync(path, { recursive: true, mode });
    };
    make(root, 0o711);
    make(`${root}/${contentPart}/blobs/sha256`, 0o755);
    make(`${root}/${contentPart}/ingest`, 0o755);
    for (const place of usualSnapshotters) makeSnapshotterDirectories(root, place);
    // Blobs of private images and containers' settings are nobody else's business.
    for (const part of ["trash", "leases", metadataPart]) make(`${root}/${part}`, 0o700);
  } catch (error) {
    if (
      error instanceof Deno.errors.AlreadyExists ||
      (error instanceof Error && "code" in error && error.code === "ENOTDIR")
    ) {
      throw new Failure("FailedPrecondition", `open store: "${root}" is not a directory`, { cause: error });
    }
    throw diskFailure(error, "open store", root);
  }
}
