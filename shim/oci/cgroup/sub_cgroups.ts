/**
 * Cgroups below a container's own, for a process of `exec`.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { CgroupPlace } from "../plan/facts.ts";
import { components } from "../plan/paths.ts";

/**
 * The container's places with paths below them: one bare path for all controllers, or `controller,controller:path` for
 * some. Of cgroup version 2 there is one place, whatever the controllers are called: a bare path alone is for it.
 *
 * Throws `InvalidArgument` in runc's words.
 */
export function inSubCgroups(places: readonly CgroupPlace[], wanted: readonly string[]): CgroupPlace[] {
  const below = new Map<string, string>();
  for (const text of wanted) {
    const [first = "", path, ...more] = text.split(":");
    if (more.length > 0) throw new Failure("InvalidArgument", `invalid --cgroup argument: ${text}`);
    if (path === undefined) {
      if (wanted.length > 1) {
        throw new Failure("InvalidArgument", `invalid --cgroup argument: ${text} (missing <controller>: prefix)`);
      }
      return places.map((place) => ({ ...place, path: inside(place.path, first) }));
    }
    for (const controller of first.split(",")) below.set(controller, path);
  }
  for (const controller of below.keys()) {
    if (!places.some((place) => isOf(place, controller))) {
      throw new Failure("InvalidArgument", `unknown controller ${controller} in --cgroup`);
    }
  }
  return places.map((place) => {
    const path = [...below].find(([controller]) => isOf(place, controller))?.[1];
    return path === undefined ? place : { ...place, path: inside(place.path, path) };
  });
}

function isOf({ version, name }: CgroupPlace, controller: string): boolean {
  return version === 1 && name.split(",").includes(controller.replace(/^name=/, ""));
}

/** The path below the directory. It is not cleaned to something inside where it would lead out: that is a mistake. */
function inside(directory: string, path: string): string {
  let depth = 0;
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    depth += part === ".." ? -1 : 1;
    if (depth < 0) throw new Failure("InvalidArgument", `${path} is not a sub cgroup path`);
  }
  const parts = components(path);
  return parts.length === 0 ? directory : `${directory}/${parts.join("/")}`;
}
