/**
 * Makes the places that criu mounts on: as for a new container, a root without them gets them.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Mount, Spec } from "../../../api/oci/runtime_spec.ts";
import { hostArch } from "../../../ffi/arch.ts";
import { exitCode, waitForChild } from "../../../ffi/process.ts";
import { flag, type Program } from "../../../ffi/program/program.ts";
import type { Reactor } from "../../../ffi/reactor.ts";
import { bindSources, ignoredSignals } from "../gather_facts.ts";
import { launch } from "../launch.ts";
import { cleanPath, Paths } from "../plan/paths.ts";
import { beginChild } from "../plan/plan.ts";
import { addRoot } from "../plan/root.ts";
import { addHostPropagation } from "../plan/propagation.ts";

const isBind = ({ options }: Mount): boolean =>
  options?.some((option) => option === "bind" || option === "rbind") ?? false;

/** Steps that cut the mounts of the process off from the host's. */
export function addOwnMounts(program: Program): void {
  addHostPropagation(program, "MS_SLAVE");
}

/** Steps that show the root at another place. */
export function addRootAt(program: Program, root: string, place: string): void {
  const does = `mount the root file system "${root}" for criu`;
  program.add({ call: "mount", args: [root, place, 0, flag("MS_BIND", "MS_REC"), 0], does });
}

/**
 * The steps: each mount point in turn, in the root as the mounts before it have left it. What lies in a memory file system
 * is criu's to make, and so are the cgroups.
 */
function addMountPoints(program: Program, spec: Spec, bundle: string, root: string): void {
  addOwnMounts(program);
  const paths = new Paths(program, addRoot(program, { kind: "directory", path: root }), hostArch);
  const sources = bindSources(spec, bundle);
  const memory: string[] = [];
  for (const mount of spec.mounts ?? []) {
    const target = cleanPath(mount.destination);
    if (memory.some((above) => target.startsWith(`${above}/`)) || mount.type === "cgroup") continue;
    const does = `make the mount point "${mount.destination}"`;
    if (!isBind(mount)) {
      if (mount.type === "tmpfs") memory.push(target);
      paths.ensure(target, "directory", does);
      continue;
    }
    const source = mount.source?.startsWith("/") ? mount.source : `${bundle}/${mount.source}`;
    const kind = sources.get(source);
    if (kind === undefined) throw new Failure("NotFound", `${does}: its source "${source}" does not exist`);
    const place = paths.ensure(target, kind, does);
    // Places of further mounts may lie in it.
    const tree = program.result(paths.name("bind"), {
      call: "open_tree",
      args: [flag("AT_FDCWD"), source, flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_RECURSIVE")],
      does,
    });
    paths.attach(tree, place, does);
  }
  program.add({ call: "exit_group", args: [0], does: "end" });
}

/** Makes them, in a process with mounts of its own. Throws what the step says that failed. */
export async function makeMountPoints(
  reactor: Reactor,
  { spec, bundle, root, alone }: { spec: Spec; bundle: string; root: string; alone: boolean },
): Promise<void> {
  const facts = { arch: hostArch, ignoredSignals: ignoredSignals(), cgroups: [] };
  const { program } = beginChild(["CLONE_NEWNS"], facts, { start: false, life: false, console: false });
  addMountPoints(program, spec, bundle, root);
  const launched = launch({ program, streams: { stdin: 0, stdout: 1, stderr: 2 }, dieWithParent: false, alone });
  try {
    const status = await waitForChild(reactor, launched.child.pidfd);
    const failure = launched.child.failure();
    if (failure !== undefined) throw failure;
    if (exitCode(status) !== 0) throw new Failure("Aborted", `making mount points ended with ${exitCode(status)}`);
  } finally {
    launched.close();
  }
}
