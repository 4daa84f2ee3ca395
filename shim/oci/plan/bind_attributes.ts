/**
 * Which flags of its source a bind mount keeps, as runc has it.
 *
 * The source's flags stay where the options set none. Where they set one, the mount gets those that are named and loses
 * the others, as a remount by mount(2) has it. Two stay all the same, as nobody who names another flag asks for less:
 * `ro` goes by `rw` alone, `nosymfollow` by `symfollow`.
 *
 * In a user namespace flags that come from outside are locked (mount_namespaces(7)): they stay, whatever the options say.
 * Only access times that cannot be had are an error.
 *
 * @module
 */
import type { ConstantName } from "../../../ffi/constants.ts";
import { Label, type Program, type Slot } from "../../../ffi/program/program.ts";
import type { Attributes, MountOptions } from "./mount_options.ts";
import { attributesStep, isNoChange } from "./new_mounts.ts";
import type { Paths } from "./paths.ts";

type BindOptions = Pick<MountOptions, "attributes" | "flags" | "setsTimes">;

const timeModes: readonly ConstantName[] = [
  "MOUNT_ATTR_RELATIME",
  "MOUNT_ATTR_NOATIME",
  "MOUNT_ATTR_STRICTATIME",
];

/** What a remount takes away that does not name it. */
const lost: readonly ConstantName[] = ["MOUNT_ATTR_NOSUID", "MOUNT_ATTR_NODEV", "MOUNT_ATTR_NOEXEC"];

/** The change that the options ask for, and what is left of it where flags are locked. */
export function bindAttributes({ attributes, flags, setsTimes }: BindOptions): { all: Attributes; locked: Attributes } {
  const isMode = (name: ConstantName): boolean => timeModes.includes(name);
  const named = attributes.set.filter((name) => !isMode(name) || setsTimes);
  if (named.length === 0 && flags.length === 0) return { all: attributes, locked: { set: [], clear: [] } };
  const set = [...attributes.set], clear = new Set<ConstantName>(attributes.clear);
  for (const name of lost) if (!set.includes(name)) clear.add(name);
  if (named.includes("MOUNT_ATTR_NODIRATIME") && !set.some(isMode)) {
    // Whoever names one of the flags of access times gets the default of the others.
    set.push("MOUNT_ATTR_RELATIME");
    clear.add("MOUNT_ATTR__ATIME");
  } else if (named.some(isMode) && !set.includes("MOUNT_ATTR_NODIRATIME")) {
    clear.add("MOUNT_ATTR_NODIRATIME");
  }
  const times: ConstantName[] = named.some(isMode) ? ["MOUNT_ATTR__ATIME"] : [];
  return { all: { set, clear: [...clear] }, locked: { set: named, clear: times } };
}

/** Steps that change the flags of a bind mount. */
export function addBindAttributes(paths: Paths, mount: Slot | number, options: BindOptions, does: string): void {
  const { program } = paths;
  const { all, locked } = bindAttributes(options);
  if (isNoChange(all)) return;
  const isLocked = new Label(paths.name("locked")), done = new Label(paths.name("flags"));
  program.add({ ...attributesStep(mount, all, does), allow: ["EPERM"], then: done, otherwise: isLocked });
  program.bind(isLocked);
  addLocked(program, mount, locked, does);
  program.bind(done);
}

function addLocked(program: Program, mount: Slot | number, locked: Attributes, does: string): void {
  if (isNoChange(locked)) return;
  const names = locked.set.map((name) => name.replace("MOUNT_ATTR_", "").toLowerCase()).join(", ");
  program.add({
    ...attributesStep(mount, locked, does),
    errors: { EPERM: `${does}: operation not permitted: its access times are locked: cannot set ${names}` },
  });
}
