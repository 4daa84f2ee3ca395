/**
 * Steps that join namespaces which the spec names by path.
 *
 * Most are joined by the new process itself. A pid namespace holds only children of the process that joins it; and what is
 * to belong to a user namespace has to be made by a process in it. So a container that joins a user namespace takes two
 * generations: the first process joins everything and clones the second, which is the container's.
 *
 * @module
 */
import type { Linux, Namespace, NamespaceType, Spec } from "../../../api/oci/runtime_spec.ts";
import { type ConstantName, sumOf } from "../../../ffi/constants.ts";
import { type Data, flag, Label, type Program, room, type Slot, words } from "../../../ffi/program/program.ts";

/** The clone and setns flag of each namespace type. */
export const namespaceFlags: Readonly<Record<NamespaceType, ConstantName>> = {
  pid: "CLONE_NEWPID",
  network: "CLONE_NEWNET",
  mount: "CLONE_NEWNS",
  ipc: "CLONE_NEWIPC",
  uts: "CLONE_NEWUTS",
  user: "CLONE_NEWUSER",
  cgroup: "CLONE_NEWCGROUP",
  time: "CLONE_NEWTIME",
};

/** Whether the container joins a user namespace. */
export function joinsUserNamespace({ linux }: Spec): boolean {
  return linux?.namespaces?.some(({ type, path }) => type === "user" && path) ?? false;
}

/** The path of the pid namespace that the runtime itself has to join around the clone. */
export function pidNamespaceToEnter(spec: Spec): string | undefined {
  if (joinsUserNamespace(spec)) return undefined;
  return spec.linux?.namespaces?.find(({ type, path }) => type === "pid" && path)?.path;
}

/** Processes are born into theirs, and the one of mounts comes when nothing is done by the host's paths any more. */
function isLater({ type }: Namespace): boolean {
  return type === "pid" || type === "mount";
}

/** Joins the spec's namespaces, but for those of processes and mounts. */
export function addJoinedNamespaces(program: Program, linux: Linux): void {
  for (const namespace of linux.namespaces ?? []) {
    if (!namespace.path || isLater(namespace)) continue;
    joinNamespace(program, namespace, openNamespace(program, namespace));
  }
}

/**
 * Joins the spec's namespaces, that of users included and that of mounts not, and clones the process that goes on from
 * here into those that are made. `owned` are the types that belong to the user namespace: they want rights there, the
 * others the host's. Gives the place of the new process's id.
 */
export function addGeneration(
  program: Program,
  linux: Linux,
  made: readonly ConstantName[],
  owned: ReadonlySet<NamespaceType>,
): Data {
  const given = (linux.namespaces ?? []).filter(({ type, path }) => path && type !== "mount");
  // Afterwards the namespace's root may be let through to none of the paths.
  const opened = new Map(given.map((namespace) => [namespace.type, openNamespace(program, namespace)]));
  const turn = ({ type }: Namespace): number => type === "user" ? 1 : owned.has(type) ? 2 : 0;
  for (const namespace of given.toSorted((a, b) => turn(a) - turn(b))) {
    joinNamespace(program, namespace, opened.get(namespace.type)!);
  }
  return addClone(program, made, "clone the container's process");
}

/**
 * Clones the process that goes on from here, a child of the runtime as its elder sibling is, which ends. Gives the place
 * of the new process's id.
 */
export function addClone(program: Program, made: readonly ConstantName[], does: string): Data {
  const child = new Label("second_generation");
  const flags: ConstantName[] = ["CLONE_PARENT", "CLONE_PARENT_SETTID", ...made];
  // Both processes write the call's result, in memory that they share; this the kernel writes for the first one alone.
  const pid = room(8, "&pid");
  // It has the same signal at its end (clone(2), CLONE_PARENT).
  const fields = [sumOf(flags), 0, 0, pid, 0, 0, 0, 0, 0, 0, 0];
  program.add({
    call: "clone3",
    args: [words(fields, `{flags=${flags.join("|")}}`), fields.length * 8],
    does,
    branch: { on: 0, to: child },
  });
  // What the second process does is recorded from here on.
  program.add({ call: "exit_group", args: [0], does, quiet: true });
  program.bind(child);
  return pid;
}

/** Opens the namespace by its path. */
export function openNamespace(program: Program, { type, path }: Namespace): Slot {
  return program.result(type, {
    call: "openat",
    // What is no namespace may be a fifo, which would wait for a writer.
    args: [flag("AT_FDCWD"), path!, flag("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC"), 0],
    does: `join the ${type} namespace "${path}"`,
  });
}

/** Joins the opened namespace. */
export function joinNamespace(program: Program, { type, path }: Namespace, namespace: Slot): void {
  const does = `join the ${type} namespace "${path}"`;
  program.add({
    call: "setns",
    args: [namespace, flag(namespaceFlags[type])],
    does,
    errors: {
      EINVAL: type === "user" ? `${does}: it is none, or the runtime's own` : `${does}: it is no ${type} namespace`,
    },
  });
}
