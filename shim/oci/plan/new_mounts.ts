/**
 * Steps that make detached mounts and change what mounts are.
 *
 * @module
 */
import { constant, type ConstantName, sumOf } from "../../../ffi/constants.ts";
import { type Data, flag, type Program, type Slot, type Step, words } from "../../../ffi/program/program.ts";
import type { Attributes, MountOptions } from "./mount_options.ts";

/** struct mount_attr: attr_set, attr_clr, propagation, userns_fd. */
function mountAttr(attributes: Attributes, propagation?: ConstantName): Data {
  const bits = [
    sumOf(attributes.set),
    sumOf(attributes.clear),
    propagation === undefined ? 0 : constant(propagation),
    0,
  ];
  return words(bits, () => {
    const parts = [
      attributes.set.length > 0 ? `set=${attributes.set.join("|")}` : "",
      attributes.clear.length > 0 ? `clear=${attributes.clear.join("|")}` : "",
      propagation === undefined ? "" : `propagation=${propagation}`,
    ];
    return `{${parts.filter((text) => text !== "").join(", ")}}`;
  });
}

/** Changes the attributes of a mount; nothing where there is nothing to change. */
export function setAttributes(
  program: Program,
  mount: Slot | number,
  attributes: Attributes,
  does: string,
  recursive = false,
): void {
  if (!isNoChange(attributes)) program.add(attributesStep(mount, attributes, does, recursive));
}

/** Whether there is nothing to change. */
export function isNoChange({ set, clear }: Attributes): boolean {
  return set.length === 0 && clear.length === 0;
}

/** The step that changes the attributes of a mount. */
export function attributesStep(mount: Slot | number, attributes: Attributes, does: string, recursive = false): Step {
  const how = recursive ? flag("AT_EMPTY_PATH", "AT_RECURSIVE") : flag("AT_EMPTY_PATH");
  return { call: "mount_setattr", args: [mount, "", how, mountAttr(attributes), 32], does };
}

/** Changes how mount events pass to and from a mount. */
export function setPropagation(
  program: Program,
  mount: Slot | number,
  change: MountOptions["propagation"][number],
  does: string,
): void {
  program.add({
    call: "mount_setattr",
    args: [
      mount,
      "",
      change.recursive ? flag("AT_EMPTY_PATH", "AT_RECURSIVE") : flag("AT_EMPTY_PATH"),
      mountAttr({ set: [], clear: [] }, change.type),
      32,
    ],
    does,
  });
}

/** Where there is no SELinux: in runc's words, as `addLabels` has it. */
export const noSelinux = "selinux label is specified in config, but selinux is disabled or not supported";

/** A new file system as a detached mount. */
export function newFileSystem(
  program: Program,
  name: string,
  type: string,
  source: string,
  options: Pick<MountOptions, "flags" | "parameters" | "attributes">,
  does: string,
): Slot {
  const context = program.result(`${name}.fs`, {
    call: "fsopen",
    args: [type, flag("FSOPEN_CLOEXEC")],
    does,
    errors: { ENODEV: `${does}: no such device: this kernel has no file system "${type}"` },
  });
  const configure = (key: string, value: string | undefined): void =>
    program.add({
      call: "fsconfig",
      args: value === undefined
        ? [context, flag("FSCONFIG_SET_FLAG"), key, 0, 0]
        : [context, flag("FSCONFIG_SET_STRING"), key, value, 0],
      does: `${does}: option "${key}${value === undefined ? "" : `=${value}`}"`,
      ...(key === "context" ? { errors: { EINVAL: noSelinux } } : {}),
    });
  configure("source", source);
  for (const name of options.flags) configure(name, undefined);
  for (const [key, value] of options.parameters) configure(key, value);
  program.add({ call: "fsconfig", args: [context, flag("FSCONFIG_CMD_CREATE"), 0, 0, 0], does });
  return program.result(`${name}.mount`, {
    call: "fsmount",
    args: [context, flag("FSMOUNT_CLOEXEC"), flag(...options.attributes.set)],
    does,
  });
}
