/**
 * The daemon's directories, as containerd has them.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { diskFailure } from "../metadata/disk_failure.ts";
import { setVariable } from "../../ffi/launch.ts";

/** Directories of a configuration. */
export interface Directories {
  /** What is kept. */
  readonly root: string;
  /** What lasts as long as the machine runs. */
  readonly state: string;
  /** What becomes TMPDIR; empty for the system's own. */
  readonly temp: string;
}

/**
 * Makes root (0700), state (0711) and temp (0700), and sets the modes of those that were there already, where that is
 * permitted. Throws `InvalidArgument` in containerd's words for paths that cannot be, and what the disk says.
 */
export function makeDirectories({ root, state, temp }: Directories): void {
  if (root === "") throw new Failure("InvalidArgument", "root must be specified");
  if (state === "") throw new Failure("InvalidArgument", "state must be specified");
  if (root === state) throw new Failure("InvalidArgument", "root and state must be different paths");
  makeDirectory(root, 0o700);
  makeDirectory(state, 0o711);
  if (temp === "") return;
  makeDirectory(temp, 0o700);
  Deno.env.set("TMPDIR", temp);
  setVariable("TMPDIR", temp);
}

function makeDirectory(path: string, mode: number): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    throw diskFailure(error, "make directory", path);
  }
  try {
    // An older version made them wider.
    Deno.chmodSync(path, mode);
  } catch (error) {
    const isOthers = error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable;
    if (!isOthers) throw diskFailure(error, "make directory", path);
  }
}
