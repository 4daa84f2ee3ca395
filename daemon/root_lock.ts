/**
 * Who may use a root directory: a daemon owns it alone, or any number of one-shot runs are its guests.
 *
 * Both could have the database open at once, and SQLite would keep it whole; but a daemon remembers what it has
 * decided, and collects what it does not know. So the two exclude each other, by a lock of the kernel (flock) that ends
 * with its holder however that dies.
 *
 * A stock containerd locks its own database in the same way. While it runs nobody else may own the root; where it does
 * not, the owner holds that lock too, so that it cannot be started on top.
 *
 * @module
 */
import { Failure } from "../api/errors.ts";
import { diskFailure, diskReason } from "./metadata/disk_failure.ts";

const lockName = "owner.lock";
/** Where a stock containerd keeps its database, below the root. */
export const stockDatabase = "io.containerd.metadata.v1.bolt/meta.db";
/** How often a lock that is waited for is tried. */
const pauseMs = 20;
/** Size of what is written into the lock's file. */
const noteBytes = 16;

/** Options of {@link ownRoot}. */
export interface OwnOptions {
  /**
   * How long to wait for a former owner that is about to end, in milliseconds. Default 0: a daemon that waits looks to
   * its supervisor like one that starts, and an operator would not learn of the other.
   */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

/** A root's lock; held until it is released or its process ends. */
export class RootLock implements Disposable {
  #files: Deno.FsFile[];

  readonly #isOwner: boolean;

  constructor(readonly root: string, files: Deno.FsFile[], isOwner: boolean) {
    this.#files = files;
    this.#isOwner = isOwner;
  }

  /** Lets go. A second call does nothing. */
  release(): void {
    const files = this.#files.splice(0);
    // The next one who is refused is to learn of whoever holds it then.
    if (this.#isOwner && files[0] !== undefined) note(files[0], "");
    for (const file of files) file.close();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/**
 * Locks the root for a daemon. `directory` holds the lock's file and must exist. Throws `FailedPrecondition` with a
 * sentence that names the other user of the root.
 */
export async function ownRoot(root: string, directory: string, options: OwnOptions = {}): Promise<RootLock> {
  const deadline = performance.now() + (options.waitMs ?? 0);
  for (;;) {
    const refusal = tryOwn(root, directory);
    if (refusal instanceof RootLock) return refusal;
    options.signal?.throwIfAborted();
    if (performance.now() >= deadline) throw new Failure("FailedPrecondition", refusal);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

function tryOwn(root: string, directory: string): RootLock | string {
  const file = open(root, `${directory}/${lockName}`);
  const files = [file];
  let kept = false;
  try {
    if (!file.tryLockSync(true)) return `use root "${root}": ${holder(file)}, and a root has one owner`;
    const stock = openStock(root);
    if (stock !== undefined) {
      files.push(stock);
      if (!stock.tryLockSync(true)) {
        return `use root "${root}": a stock containerd runs on it, and a root has one owner: stop it or choose another --root`;
      }
    }
    note(file, `${Deno.pid}`);
    kept = true;
    return new RootLock(root, files, true);
  } finally {
    if (!kept) { for (const one of files) one.close(); }
  }
}

/**
 * Writes into the file who has it, for messages only: a full or failing disk is none's reason not to start. Always so many
 * bytes over the old ones, as a disk that is full has no room for others.
 */
function note(file: Deno.FsFile, text: string): void {
  try {
    file.seekSync(0, Deno.SeekMode.Start);
    file.writeSync(new TextEncoder().encode(`${text}\n`.padEnd(noteBytes)));
  } catch (error) {
    if (diskReason(error) === undefined) throw error;
  }
}

/** Who has the lock: a daemon has written its process id, guests write nothing. */
function holder(file: Deno.FsFile): string {
  const bytes = new Uint8Array(noteBytes);
  const length = file.readSync(bytes) ?? 0;
  const pid = /^(\d+)\n *$/.exec(new TextDecoder().decode(bytes.subarray(0, length)))?.[1];
  if (pid === undefined || !isThere(`/proc/${pid}`)) return `one-shot runs are using it (barge run)`;
  return `a daemon of barge runs on it (process ${pid})`;
}

/**
 * Locks the root for one of many who use it at once and briefly. As {@link ownRoot}; it never waits, and takes a few
 * microseconds.
 */
export function visitRoot(root: string, directory: string): RootLock {
  const file = open(root, `${directory}/${lockName}`);
  if (file.tryLockSync(false)) return new RootLock(root, [file], false);
  const who = holder(file);
  file.close();
  throw new Failure(
    "FailedPrecondition",
    `use root "${root}": ${who}: ask the daemon by its socket, or choose another root with --root`,
  );
}

function open(root: string, path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw diskFailure(error, "open store", root);
  }
}

function openStock(root: string): Deno.FsFile | undefined {
  try {
    return Deno.openSync(`${root}/${stockDatabase}`, { read: true, write: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw diskFailure(error, "open store", root);
  }
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false; // Gone: what else there is to know of it does not matter here.
  }
}
