/**
 * Steps that mount: detached mounts that are attached to descriptors inside the root.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Mount } from "../../../api/oci/runtime_spec.ts";
import { constant, type ConstantName, sumOf } from "../../../ffi/constants.ts";
import { type Data, flag, Label, type Program, Slot, text, words } from "../../../ffi/program/program.ts";
import type { CgroupPlace, Facts } from "./facts.ts";
import { type Attributes, type MountOptions, parseMountOptions } from "./mount_options.ts";
import { cleanPath, components, openHow, openHowSize, type Paths } from "./paths.ts";
import { sourceKey } from "./user_namespace.ts";

/** Names below /proc that may be covered by a bind mount (lxcfs and the like), as runc allows them. */
const coverableProc = new Set([
  "cpuinfo",
  "diskstats",
  "meminfo",
  "stat",
  "swaps",
  "uptime",
  "loadavg",
  "slabinfo",
  "sys/kernel/ns_last_pid",
  "sys/crypto/fips_enabled",
]);

/** Mounts that later steps refer to. */
export interface Mounted {
  /** The container's own procfs, untouched by what an image may put on its path. */
  proc?: Slot | undefined;
  /** The same for sysfs. */
  sysfs?: Slot | undefined;
  /** The container's devpts. */
  devpts?: Slot;
  /** Whether `/dev` is a mount of its own that barge fills with nodes. */
  devIsBind: boolean;
  /** Memory file systems made by this plan, by destination: they are empty but for what the plan puts there. */
  fresh: Map<string, Slot>;
  /** Mounts that become read-only only when everything stands. */
  readOnlyLater: { mount: Slot; does: string }[];
  /** Memory file systems that begin with what they cover. */
  copies: { from: Slot; to: Slot; does: string }[];
}

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
  if (attributes.set.length === 0 && attributes.clear.length === 0) return;
  program.add({
    call: "mount_setattr",
    args: [
      mount,
      "",
      recursive ? flag("AT_EMPTY_PATH", "AT_RECURSIVE") : flag("AT_EMPTY_PATH"),
      mountAttr(attributes),
      32,
    ],
    does,
  });
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

/** In runc's words, as `addLabels` has it. */
const noSelinux = "selinux label is specified in config, but selinux is disabled or not supported";

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

/** What mounts need besides the spec's list of them. */
export interface MountInputs {
  /** Sources of bind mounts that are open already, by `sourceKey`. */
  sources: ReadonlyMap<string, Slot>;
  /** Detached mounts that are given, by the index of the facts' `idMapped`. */
  idmaps: readonly number[];
  /** `linux.mountLabel`: the SELinux context of what is in new file systems. */
  label: string | undefined;
}

/** Makes the spec's mounts, in order. */
export function addMounts(paths: Paths, mounts: readonly Mount[], facts: Facts, inputs: MountInputs): Mounted {
  const mounted: Mounted = { devIsBind: false, fresh: new Map(), readOnlyLater: [], copies: [] };
  for (const mount of mounts) new MountSteps(paths, mount, facts, mounted, inputs).add();
  return mounted;
}

/** One mount of the spec. */
class MountSteps {
  readonly program: Program;
  readonly target: string;
  readonly type: string;
  readonly options: MountOptions;
  readonly does: string;
  readonly name: string;

  constructor(
    readonly paths: Paths,
    readonly mount: Mount,
    readonly facts: Facts,
    readonly mounted: Mounted,
    readonly inputs: MountInputs,
  ) {
    this.program = paths.program;
    const kernels = mount.type === "proc" || mount.type === "sysfs";
    this.target = kernels
      ? cleanPath(mount.destination)
      : facts.destinations.get(mount.destination) ?? cleanPath(mount.destination);
    this.options = parseMountOptions(mount.options ?? []);
    this.type = this.options.bind ? "bind" : mount.type ?? "none";
    const what = this.options.bind ? `"${mount.source}"` : this.type;
    this.does = `mount ${what} on "${mount.destination}"`;
    this.name = paths.name(this.type === "bind" ? "bind" : this.type);
  }

  add(): void {
    if (this.target === "/") {
      throw new Failure("InvalidArgument", `mount on "${this.mount.destination}": the root itself is no place for it`);
    }
    if (this.target === "/dev") this.mounted.devIsBind = this.options.bind;
    this.#refuseOverProc();
    if (this.target === "/proc") this.mounted.proc = undefined;
    if (this.target === "/sys") this.mounted.sysfs = undefined;
    if (this.options.bind) this.#bind();
    else if (this.type === "cgroup") this.#cgroup();
    else this.#fileSystem();
  }

  #refuseOverProc(): void {
    const [first, ...below] = components(this.target);
    if (first !== "proc" || (below.length === 0 && this.type === "proc")) return;
    if (below.length > 0 && this.options.bind && coverableProc.has(below.join("/"))) return;
    if (below.length === 0 && this.options.bind && cleanPath(this.mount.source ?? "") === "/proc") return;
    throw new Failure(
      "InvalidArgument",
      `mount on "${this.mount.destination}": it would cover the kernel's own files; only a proc file system may`,
    );
  }

  #fileSystem(): void {
    const { options, does, program } = this;
    const kernels = this.type === "proc" || this.type === "sysfs";
    const later = options.readOnly && (this.type === "tmpfs" || this.target === "/dev");
    const covered = options.copyUp ? this.#openCovered() : undefined;
    const set = later ? options.attributes.set.filter((name) => name !== "MOUNT_ATTR_RDONLY") : options.attributes.set;
    const mount = newFileSystem(program, this.name, this.type, this.mount.source ?? this.type, {
      ...options,
      parameters: [...this.#coveredMode(), ...options.parameters, ...this.#context()],
      attributes: { set, clear: [] },
    }, does);
    const target = kernels ? this.#realDirectory() : this.#place("directory");
    this.#attach(mount, target);
    if (this.type === "mqueue" && this.inputs.label) this.#labelRoot(mount, this.inputs.label);
    if (covered !== undefined) this.mounted.copies.push({ from: covered, to: mount, does });
    else if (this.type === "tmpfs") this.mounted.fresh.set(this.target, mount);
    if (later) this.mounted.readOnlyLater.push({ mount, does: `${does} read-only` });
    if (this.type === "proc" && this.target === "/proc") this.mounted.proc = mount;
    if (this.type === "sysfs" && this.target === "/sys") this.mounted.sysfs = mount;
    if (this.type === "devpts") this.mounted.devpts = mount;
  }

  /** A memory file system looks like the directory that it covers, as runc has it, where the spec does not say how. */
  #coveredMode(): MountOptions["parameters"] {
    const mode = this.facts.coveredModes.get(this.target);
    return mode === undefined ? [] : [["mode", mode.toString(8)]];
  }

  /** The label of everything in the file system. The kernel's own have theirs, and queues get labels one by one. */
  #context(): MountOptions["parameters"] {
    const { label } = this.inputs;
    return !label || ["proc", "sysfs", "mqueue"].includes(this.type) ? [] : [["context", label]];
  }

  /** Labels the directory of a file system that knows no option for it. */
  #labelRoot(mount: Slot, label: string): void {
    const does = `${this.does}: label "${label}"`;
    const directory = this.program.result(this.paths.name("path"), {
      call: "openat",
      args: [mount, ".", flag("O_RDONLY", "O_DIRECTORY", "O_CLOEXEC"), 0],
      does,
    });
    const value = text(label);
    this.program.add({
      call: "fsetxattr",
      args: [directory, "security.selinux", value, value.bytes.length - 1, 0],
      does,
      errors: { EOPNOTSUPP: noSelinux },
    });
  }

  /** What the image has where a memory file system goes, to be copied into it. */
  #openCovered(): Slot {
    if (this.type !== "tmpfs") {
      throw new Failure("InvalidArgument", `${this.does}: only a tmpfs begins with what it covers (tmpcopyup)`);
    }
    return this.paths.ensure(this.target, "directory", this.does);
  }

  /** The mount point; made without a look where it can only be missing. */
  #place(kind: "directory" | "file"): Slot {
    const slash = this.target.lastIndexOf("/");
    const parent = this.mounted.fresh.get(this.target.slice(0, slash));
    if (parent !== undefined && kind === "directory") {
      const name = this.target.slice(slash + 1);
      this.program.add({ call: "mkdirat", args: [parent, name, 0o755], does: this.does, allow: ["EEXIST"] });
      return this.program.result(this.paths.name("path"), {
        call: "openat",
        args: [parent, name, flag("O_PATH", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC"), 0],
        does: this.does,
      });
    }
    return this.paths.ensure(this.target, kind, this.does);
  }

  /** proc and sysfs go only to a real directory: a link could point them where another file system is trusted. */
  #realDirectory(): Slot {
    const { program, paths, does, target } = this;
    const plain = openHow(paths.arch, ["O_PATH", "O_CLOEXEC", "O_DIRECTORY"], [
      "RESOLVE_IN_ROOT",
      "RESOLVE_NO_SYMLINKS",
    ]);
    const slot = new Slot(paths.name("path"));
    const missing = new Label(paths.name("make"));
    const found = new Label(paths.name("found"));
    const open = {
      call: "openat2" as const,
      args: [paths.root, target, plain, openHowSize],
      does,
      into: slot,
      errors: { ELOOP: `${does}: the image has a symbolic link on the way to it, where a directory must be` },
    };
    program.add({ ...open, allow: ["ENOENT"], otherwise: missing, then: found });
    program.bind(missing);
    paths.ensure(target, "directory", does);
    program.add(open);
    program.bind(found);
    return slot;
  }

  #bind(): void {
    const { program, does, options } = this;
    const source = this.#source();
    const kind = this.facts.sources.get(source);
    if (kind === undefined) {
      throw new Failure("NotFound", `${does}: the source does not exist; make it first or correct the path`);
    }
    const mount = this.#openSource(source);
    setAttributes(program, mount, options.attributes, does);
    this.#attach(mount, this.#place(kind));
  }

  /** The source as a detached mount. */
  #openSource(source: string): Slot | number {
    const key = sourceKey(source, this.mount.destination);
    const index = this.facts.idMapped?.indexOf(key) ?? -1;
    if (index >= 0) return this.inputs.idmaps[index]!;
    return this.inputs.sources.get(key) ?? this.program.result(`${this.name}.mount`, {
      call: "open_tree",
      args: [
        flag("AT_FDCWD"),
        source,
        this.options.recursiveBind
          ? flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_RECURSIVE")
          : flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC"),
      ],
      does: this.does,
    });
  }

  #source(): string {
    const { source } = this.mount;
    if (source === undefined || source === "") {
      throw new Failure("InvalidArgument", `bind mount on "${this.mount.destination}" has no source`);
    }
    if (this.options.parameters.length > 0) {
      const names = this.options.parameters.map(([key]) => `"${key}"`).join(", ");
      throw new Failure("InvalidArgument", `${this.does}: a bind mount does not know the option ${names}`);
    }
    return source.startsWith("/") ? source : `${this.facts.bundle}/${source}`;
  }

  #attach(mount: Slot | number, target: Slot): void {
    this.paths.keepKernelFiles(target, this.target, this.does);
    this.paths.attach(mount, target, this.does);
    for (const change of this.options.propagation) setPropagation(this.program, mount, change, this.does);
    setAttributes(this.program, mount, this.options.recursiveAttributes, this.does, true);
  }

  /** The container's own cgroups: cgroup2 itself, or a tmpfs with one directory for each v1 hierarchy. */
  #cgroup(): void {
    const { program, paths, does, options } = this;
    const pure = this.facts.cgroups.find((place) => place.version === 2 && place.name === "");
    if (pure !== undefined) {
      const mount = newFileSystem(program, this.name, "cgroup2", "cgroup", { ...options, parameters: [] }, does);
      this.#attach(mount, paths.ensure(this.target, "directory", does));
      return;
    }
    const writable = options.attributes.set.filter((name) => name !== "MOUNT_ATTR_RDONLY");
    const top = newFileSystem(program, this.name, "tmpfs", "tmpfs", {
      flags: [],
      parameters: [["mode", "755"], ...this.#context()],
      attributes: { set: writable, clear: [] },
    }, does);
    const directory = paths.ensure(this.target, "directory", does);
    paths.keepKernelFiles(directory, this.target, does);
    paths.attach(top, directory, does);
    for (const place of this.facts.cgroups) this.#hierarchy(top, place);
    if (options.readOnly) this.mounted.readOnlyLater.push({ mount: top, does: `${does} read-only` });
  }

  #hierarchy(top: Slot, place: CgroupPlace): void {
    const { program, paths, does } = this;
    program.add({ call: "mkdirat", args: [top, place.name, 0o755], does });
    const mount = program.result(paths.name("cgroup"), {
      call: "open_tree",
      args: [flag("AT_FDCWD"), place.path, flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC")],
      does,
    });
    setAttributes(program, mount, this.options.attributes, does);
    const target = program.result(paths.name("path"), {
      call: "openat2",
      args: [top, place.name, openHow(paths.arch, ["O_PATH", "O_CLOEXEC"], ["RESOLVE_NO_SYMLINKS"]), openHowSize],
      does,
    });
    paths.attach(mount, target, does);
    const controllers = place.name.split(",");
    if (controllers.length < 2) return;
    for (const name of controllers) program.add({ call: "symlinkat", args: [place.name, top, name], does });
  }
}
