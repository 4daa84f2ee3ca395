/**
 * Locks on files that end with the process that holds them.
 *
 * @module
 */
import { pause } from "../../api/abort.ts";
import { removeIfThere } from "../../ffi/if_there.ts";

/** How often a taken lock is tried again, at first and at last. */
const firstPauseMs = 2;
const lastPauseMs = 200;

/**
 * An exclusive `flock` on a file or directory, from `acquire` until it is released or its process ends.
 *
 * It belongs to one opening of the file, so two parts of one process exclude each other as two processes do.
 */
export class FileLock implements Disposable {
  #file: Deno.FsFile | undefined;
  /** Path of the locked file. */
  readonly path: string;

  private constructor(file: Deno.FsFile, path: string) {
    this.#file = file;
    this.path = path;
  }

  /**
   * Takes the lock if it is free, else gives undefined. A missing file is made where `create` says so, else
   * `Deno.errors.NotFound` is thrown. A directory can be locked as well.
   */
  static tryAcquire(path: string, options: { create?: boolean } = {}): FileLock | undefined {
    for (;;) {
      const file = options.create === true
        ? Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 })
        : Deno.openSync(path, { read: true });
      let kept = false;
      try {
        if (!file.tryLockSync(true)) return undefined;
        // Its holder may have removed or renamed the file before it let go; then the lock is on nobody's file.
        if (!isStillAt(file, path)) continue;
        kept = true;
        return new FileLock(file, path);
      } finally {
        if (!kept) file.close();
      }
    }
  }

  /** Waits until the lock is free. Throws the signal's reason when it is aborted. */
  static async acquire(path: string, signal: AbortSignal, options: { create?: boolean } = {}): Promise<FileLock> {
    for (let pauseMs = firstPauseMs;; pauseMs = Math.min(pauseMs * 2, lastPauseMs)) {
      signal.throwIfAborted();
      const lock = FileLock.tryAcquire(path, options);
      if (lock !== undefined) return lock;
      await pause(pauseMs, signal);
    }
  }

  /** Lets go; a second call does nothing. With `remove`, the file is unlinked before, so that waiters make a new one. */
  release(options: { remove?: boolean } = {}): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      if (options.remove === true) removeIfThere(this.path);
    } finally {
      // Closing is not enough: a child that is about to execute something may still have the descriptor.
      file.unlockSync();
      file.close();
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function isStillAt(file: Deno.FsFile, path: string): boolean {
  const held = file.statSync();
  try {
    const there = Deno.lstatSync(path);
    return there.ino === held.ino && there.dev === held.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Waits, but no longer than until the signal. */
