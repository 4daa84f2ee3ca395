/**
 * What a failed system call means to whoever unpacks a layer.
 *
 * @module
 */
import { type Code, Failure } from "../../api/errors.ts";
import { errnoText, SyscallError } from "../../ffi/errno.ts";

const codes: Readonly<Record<string, Code>> = {
  ENOSPC: "ResourceExhausted",
  EDQUOT: "ResourceExhausted",
  EMFILE: "ResourceExhausted",
  ENFILE: "ResourceExhausted",
  ENOMEM: "ResourceExhausted",
  EPERM: "PermissionDenied",
  EACCES: "PermissionDenied",
  EROFS: "FailedPrecondition",
  ENOTDIR: "InvalidArgument",
  ELOOP: "InvalidArgument",
  ENAMETOOLONG: "InvalidArgument",
  EINVAL: "InvalidArgument",
  EXDEV: "InvalidArgument",
  EFBIG: "InvalidArgument",
  EOVERFLOW: "InvalidArgument",
  EEXIST: "AlreadyExists",
  ENOENT: "NotFound",
};

/** The text of the few errors whose advice does not depend on the call. */
const texts: Readonly<Record<string, string>> = {
  // strerror gives the same; spelled out because callers show it and tests look for it.
  ENOSPC: "no space left on device",
  EROFS: "the file system is mounted read-only",
};

/**
 * `error` as a {@link Failure} that names the path in the layer; anything but a {@link SyscallError} comes back as
 * it is. `doing` is the action as the user knows it, such as `unpacking`.
 */
export function layerFailure(error: unknown, doing: string, path: string): unknown {
  if (!(error instanceof SyscallError)) return error;
  const what = texts[error.code] ?? `${error.syscall}: ${errnoText(error.errno)}`;
  return new Failure(codes[error.code] ?? "Unknown", `${doing} "${path}": ${what}`, { cause: error });
}
