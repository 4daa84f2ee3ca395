/**
 * The classic mount calls, for whoever gets mounts as `type, source, options` and is to perform them as they are.
 *
 * What takes long here (an unmount may write a whole file system's cache to disk) belongs on a Worker's thread, and two
 * of these change the thread itself: {@link PrivateMounts} and {@link inDirectory} are for Workers only.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor, openFile } from "./descriptor.ts";
import { errnoNumber, isErrno, SyscallError } from "./errno.ts";
import { call } from "./syscall.ts";

/** The kernel reads one page of options and silently drops what is behind it. */
export const mountDataBytesMax = 4095;

/**
 * mount(2). `data` is the text of the file system's own options, at most {@link mountDataBytesMax} bytes of it.
 * Throws {@link SyscallError}, `E2BIG` for longer data.
 */
export function performMount(source: string, target: string, type: string, mountFlags: number, data: string): void {
  if (new TextEncoder().encode(data).length > mountDataBytesMax) {
    throw new SyscallError("mount", errnoNumber("E2BIG"), target);
  }
  call("mount", source, target, type === "" ? 0 : type, mountFlags, data === "" ? 0 : data);
}

/** umount2(2), never through a link at the end of the path. `detach` leaves what is in use to its last user. */
export function unmount(target: string, options: { detach?: boolean } = {}): void {
  call("umount2", target, flags("UMOUNT_NOFOLLOW") | (options.detach === true ? flags("MNT_DETACH") : 0));
}

/**
 * Gives this Worker's thread a copy of all mounts, until it is disposed of: what is mounted in between is seen by this
 * thread only, and is gone with the copy, also when the process is killed. Changes of the host's mounts still come in
 * where they are shared, so that nothing of the host is kept busy.
 *
 * Throws {@link SyscallError}, `EPERM` without the right to mount.
 */
export class PrivateMounts implements Disposable {
  readonly #home: Descriptor;
  #open = true;

  constructor() {
    this.#home = openFile("/proc/thread-self/ns/mnt", flags("O_RDONLY"));
    try {
      // Takes the working directory and umask along: they are this thread's own from now on.
      call("unshare", flags("CLONE_NEWNS"));
      call("mount", "none", "/", 0, flags("MS_REC", "MS_SLAVE"), 0);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Goes back; the copy's file systems end here, which may wait for the disk. A second call does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    try {
      call("setns", this.#home.number, flags("CLONE_NEWNS"));
    } finally {
      this.#home.close();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Runs the function with another working directory, of this Worker's thread only. Throws {@link SyscallError}. */
export function inDirectory<T>(directory: string, body: () => T): T {
  call("unshare", flags("CLONE_FS"));
  using before = openFile(".", flags("O_PATH", "O_DIRECTORY"));
  call("chdir", directory);
  try {
    return body();
  } finally {
    call("fchdir", before.number);
  }
}

/** How a file becomes a block device. */
export interface LoopOptions {
  readonly readOnly: boolean;
  /** Passes by the page cache of the file itself. */
  readonly directIo?: boolean;
}

/** A loop device: it lasts until the last of this descriptor and the mounts on it is closed. */
export interface LoopDevice extends Disposable {
  /** Such as `/dev/loop0`. */
  readonly path: string;
}

/** Others may take the device that is free between asking for one and configuring it. */
const loopAttemptsMax = 100;

/**
 * Makes the file a block device that goes by itself when nobody uses it any more (loop(4), LOOP_CONFIGURE of Linux 5.8).
 * Throws {@link SyscallError}.
 */
export function attachLoop(file: string, options: LoopOptions): LoopDevice {
  const access = options.readOnly ? flags("O_RDONLY") : flags("O_RDWR");
  using backing = openFile(file, access);
  using control = openFile("/dev/loop-control", flags("O_RDWR"));
  for (let attempt = 1;; attempt++) {
    const path = `/dev/loop${call("ioctl", control.number, flags("LOOP_CTL_GET_FREE"))}`;
    const device = openFile(path, access);
    try {
      call("ioctl", device.number, flags("LOOP_CONFIGURE"), loopConfig(backing.number, options));
      return { path, [Symbol.dispose]: () => device.close() };
    } catch (error) {
      device.close();
      if (!isErrno(error, "EBUSY") || attempt === loopAttemptsMax) throw error;
    }
  }
}

/** struct loop_config: fd, block size, struct loop_info64 (232 bytes, its flags at 52), 64 bytes reserved. */
function loopConfig(backing: number, { readOnly, directIo }: LoopOptions): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(304);
  const view = new DataView(bytes.buffer);
  let loopFlags = flags("LO_FLAGS_AUTOCLEAR");
  if (readOnly) loopFlags += flags("LO_FLAGS_READ_ONLY");
  if (directIo === true) loopFlags += flags("LO_FLAGS_DIRECT_IO");
  view.setUint32(0, backing, true);
  view.setUint32(8 + 52, loopFlags, true);
  return bytes;
}
