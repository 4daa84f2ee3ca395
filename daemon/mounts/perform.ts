/**
 * Performing mounts of the API, and undoing them.
 *
 * To be called on a Worker's thread: mounting and unmounting may wait for a disk, and long options change the thread's
 * working directory.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { isErrno, SyscallError } from "../../ffi/errno.ts";
import { mountFlagsOf } from "../../ffi/file_system.ts";
import { attachLoop, inDirectory, mountDataBytesMax, performMount, PrivateMounts, unmount } from "../../ffi/mount.ts";
import { call } from "../../ffi/syscall.ts";
import { inUserNamespace } from "../diff/user_namespace.ts";
import { compactLowers, type ParsedOptions, parseMountOptions } from "./mount_options.ts";

/** One mount: what is mounted, and where below the target of all ("" for the target itself). */
export interface MountPart {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/**
 * Performs mounts one over another at the target, which must exist. Throws {@link Failure}; what was mounted until then
 * stays, for the caller to undo with {@link unmountAll}.
 */
export function mountAll(mounts: readonly MountPart[], target: string): void {
  for (const mount of mounts) {
    try {
      mountAt(mount, target);
    } catch (error) {
      throw mountFailure(error, mount, target);
    }
  }
}

/** Mounts of this thread's own, with the sentence for one who may not have them. Throws `PermissionDenied`. */
export function enterPrivateMounts(): PrivateMounts {
  try {
    return new PrivateMounts();
  } catch (error) {
    throw new Failure("PermissionDenied", `mounting needs the right to mount (CAP_SYS_ADMIN): ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * Performs mounts that this thread alone sees, until the result is closed; makes the target where it is missing. Throws
 * {@link Failure}; nothing is left mounted then.
 */
export function mountPrivately(mounts: readonly MountPart[], target: string): PrivateMounts {
  const own = enterPrivateMounts();
  try {
    mountTemporary(mounts, target);
    return own;
  } catch (error) {
    own.close();
    throw error;
  }
}

/** As {@link mountAll}, with the target made where it is missing, and containerd's words for temporary mounts. */
export function mountTemporary(mounts: readonly MountPart[], target: string): void {
  Deno.mkdirSync(target, { recursive: true, mode: 0o700 });
  try {
    mountAll(mounts, target);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(error.code, `failed to mount ${target}: ${error.message}`, { cause: error });
  }
}

function mountFailure(error: unknown, { type, source }: MountPart, target: string): unknown {
  if (error instanceof Failure) return error;
  const denied = isErrno(error, "EPERM", "EACCES");
  const code = denied ? "PermissionDenied" : isErrno(error, "ENOENT", "ENODEV") ? "NotFound" : "Unknown";
  const message = `mount source: "${source}", target: "${target}", fstype: ${type}: ${messageOf(error)}`;
  return error instanceof SyscallError ? new Failure(code, message, { cause: error }) : error;
}

function mountAt(mount: MountPart, target: string): void {
  if (/^fuse3?\./.test(mount.type)) {
    throw new Failure("NotImplemented", `mount type "${mount.type}": mount helpers of FUSE are not called here`);
  }
  const parsed = parseMountOptions(mount.options);
  // Links on the way are the layer's own, and stay inside the target.
  using place = mount.target === "" ? undefined : openInside(target, mount.target);
  const path = place === undefined ? target : `/proc/self/fd/${place.number}`;
  const isRemount = (parsed.flags & flags("MS_REMOUNT")) !== 0;
  // A remount without data changes flags only, which the last step does for a bind mount.
  if (!isRemount || parsed.data.length > 0) mountFirst(mount, parsed, path);
  if (parsed.propagation !== 0) performMount("", path, "", parsed.propagation, "");
  const readOnlyBind = flags("MS_BIND", "MS_RDONLY");
  if ((parsed.flags & readOnlyBind) === readOnlyBind || (isRemount && parsed.data.length === 0)) {
    performMount("", path, "", parsed.flags | flags("MS_REMOUNT") | lockedFlags(path), "");
  }
}

function openInside(target: string, below: string): Descriptor {
  using root = openFile(target, flags("O_PATH", "O_DIRECTORY"));
  // struct open_how: flags, mode, resolve.
  const how = BigUint64Array.of(
    BigInt(flags("O_PATH", "O_CLOEXEC")),
    0n,
    BigInt(flags("RESOLVE_IN_ROOT", "RESOLVE_NO_MAGICLINKS")),
  );
  return new Descriptor(call("openat2", root.number, below, how, 24));
}

function mountFirst(mount: MountPart, parsed: ParsedOptions, path: string): void {
  const options = { readOnly: (parsed.flags & flags("MS_RDONLY")) !== 0, directIo: parsed.directIo };
  using device = parsed.loop ? attachLoop(mount.source, options) : undefined;
  const source = device?.path ?? mount.source;
  const data = parsed.data.join(",");
  if (new TextEncoder().encode(data).length <= mountDataBytesMax) {
    return performMount(source, path, mount.type, parsed.flags, data);
  }
  const compact = mount.type === "overlay" ? compactLowers(parsed.data) : undefined;
  const short = compact?.data.join(",") ?? data;
  if (compact === undefined || new TextEncoder().encode(short).length > mountDataBytesMax) {
    throw new Failure("InvalidArgument", `mount options is too long: the kernel takes ${mountDataBytesMax} bytes`);
  }
  inDirectory(compact.directory, () => performMount(source, path, mount.type, parsed.flags, short));
}

/** Flags that a user namespace may not take off a mount, so that a remount has to name them again. */
function lockedFlags(path: string): number {
  if (!inUserNamespace()) return 0;
  const lockable = flags("MS_RDONLY", "MS_NOSUID", "MS_NODEV", "MS_NOEXEC", "MS_NOATIME", "MS_NODIRATIME");
  return mountFlagsOf(path) & lockable;
}

/** An unmount that another process's short look delays is tried again so often, this long apart. */
const unmountTriesMax = 5;
const unmountPauseMs = 20;

/**
 * Undoes every mount at the target, the last first; nothing mounted there, or no such path, is success. What is busy
 * after a few tries is detached, and ends with its last user.
 */
export function unmountAll(target: string): void {
  for (let tries = 1;;) {
    try {
      unmount(target);
      tries = 1;
    } catch (error) {
      if (isErrno(error, "EINVAL", "ENOENT")) return;
      if (!isErrno(error, "EBUSY")) throw unmountFailure(error, target);
      if (tries++ < unmountTriesMax) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, unmountPauseMs);
      else unmount(target, { detach: true });
    }
  }
}

function unmountFailure(error: unknown, target: string): unknown {
  if (!(error instanceof SyscallError)) return error;
  const code = isErrno(error, "EPERM") ? "PermissionDenied" : "Unknown";
  return new Failure(code, `failed to unmount target ${target}: ${error.message}`, { cause: error });
}
