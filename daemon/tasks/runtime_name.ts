/**
 * From the name of a runtime to the shim that runs its containers: `io.containerd.runc.v2` is `containerd-shim-runc-v2`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** Where shims are looked for. */
export interface ShimPlaces {
  /** The daemon's working directory. */
  readonly workingDirectory: string;
  /** Directories of `PATH`. */
  readonly path: readonly string[];
  /** Directory of the daemon's own executable. */
  readonly ownDirectory: string;
}

/** The places as they are now. */
export function shimPlacesNow(): ShimPlaces {
  const own = Deno.env.get("BARGE_ARGV0") ?? "";
  const executable = own.includes("/") ? own : Deno.execPath();
  return {
    workingDirectory: Deno.cwd(),
    path: (Deno.env.get("PATH") ?? "").split(":").filter((directory) => directory.startsWith("/")),
    ownDirectory: executable.slice(0, executable.lastIndexOf("/")),
  };
}

/** The name of a runtime's shim, from the last two parts of its dotted name; undefined where it has no two. */
export function shimNameOf(runtime: string): string | undefined {
  const parts = runtime.split(".");
  if (parts.length < 2 || parts[0] === "") return undefined;
  return `containerd-shim-${parts.at(-2)}-${parts.at(-1)}`;
}

/**
 * The absolute path of a runtime's shim; `runtime` may be one itself. Throws `Unknown` in containerd's words where there
 * is none.
 */
export function findShim(runtime: string, places: ShimPlaces): string {
  if (runtime === "") throw new Failure("Unknown", "no runtime name");
  if (runtime.startsWith("/")) {
    if (isFile(runtime)) return runtime;
    throw new Failure("Unknown", `invalid custom binary path: stat ${runtime}: no such file or directory`);
  }
  const name = runtime.includes("/") ? undefined : shimNameOf(runtime);
  if (name === undefined) {
    throw new Failure(
      "Unknown",
      `invalid runtime name ${runtime}, correct runtime name should be either format like \`io.containerd.runc.v1\` ` +
        `or a full path to the binary`,
    );
  }
  for (const directory of [places.workingDirectory, ...places.path, places.ownDirectory]) {
    const path = `${directory}/${name}`;
    if (isFile(path)) return path;
  }
  throw new Failure("Unknown", `runtime "${runtime}" binary not installed "${name}": file does not exist`);
}

function isFile(path: string): boolean {
  try {
    const { isFile, mode } = Deno.statSync(path);
    return isFile && ((mode ?? 0) & 0o111) !== 0;
  } catch {
    // Whatever the reason is, it cannot be started either.
    return false;
  }
}
