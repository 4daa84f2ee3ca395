/**
 * The systemd unit of a container: `linux.cgroupsPath` in the form `slice:prefix:name` (systemd.unit(5), systemd.slice(5)).
 *
 * @module
 */
import { Failure } from "../../../../api/errors.ts";

/** A unit, and the slice that it is in. */
export interface UnitName {
  slice: string;
  /** What the path calls the container; its id, without a path. */
  stem: string;
  /** With its suffix, `.scope`. */
  name: string;
}

/** UNIT_NAME_MAX of systemd. */
const lengthMax = 255;

/**
 * The unit that a container's `linux.cgroupsPath` names; without one it is the scope `runc-ID.scope`. `user` says whether
 * it is one of a user's own service manager.
 *
 * Throws `InvalidArgument` with runc's texts, and with systemd's for a name that no unit can have.
 */
export function unitOf(cgroupsPath: string | undefined, id: string, user: boolean): UnitName {
  const parts = cgroupsPath ? cgroupsPath.split(":") : ["", "runc", id];
  const [given, prefix, name] = parts;
  if (given === undefined || prefix === undefined || name === undefined || parts.length !== 3) {
    throw new Failure(
      "InvalidArgument",
      `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got ${
        JSON.stringify(cgroupsPath)
      } instead`,
    );
  }
  if (name.endsWith(".slice")) {
    // runc asks systemd for it, which refuses too, and has the slice as "not loaded properly" from then on.
    throw new Failure(
      "InvalidArgument",
      `unable to start unit "${name}": a slice has no processes of its own; want a name that does not end in ".slice"`,
    );
  }
  const unit = { slice: given || (user ? "user.slice" : "system.slice"), stem: name, name: `${prefix}-${name}.scope` };
  // Also its directory's name: a slash is not to become part of a path.
  if (unit.name.length > lengthMax || !/^[A-Za-z0-9:_.\\@-]+$/.test(unit.name)) {
    throw new Failure("InvalidArgument", `Unit name ${unit.name} is not valid.`);
  }
  return unit;
}

/**
 * Path of a slice below the service manager's own cgroup, such as `/a.slice/a-b.slice` for `a-b.slice`; empty for the root
 * slice `-.slice`. Throws `InvalidArgument`.
 */
export function slicePath(slice: string): string {
  const suffix = ".slice";
  const stem = slice.slice(0, -suffix.length);
  if (slice === `-${suffix}`) return "";
  const components = stem.split("-");
  if (!slice.endsWith(suffix) || slice.includes("/") || components.includes("") || slice.includes("\0")) {
    throw new Failure("InvalidArgument", `invalid slice name: ${slice}`);
  }
  return components.map((_, index) => `/${components.slice(0, index + 1).join("-")}${suffix}`).join("");
}
