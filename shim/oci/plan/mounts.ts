/**
 * Steps that mount: detached mounts that are attached to descriptors inside the root.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Mount } from "../../../api/oci/runtime_spec.ts";
import type { ConstantName } from "../../../ffi/constants.ts";
import { flag, Label, type Program, Slot, text } from "../../../ffi/program/program.ts";
import { addBindAttributes } from "./bind_attributes.ts";
import { broughtSource, mountTarget } from "./brought_source.ts";
import type { CgroupPlace, Facts } from "./facts.ts";
import { type MountOptions, parseMountOptions } from "./mount_options.ts";
import { newFileSystem, noSelinux, setAttributes, setPropagation } from "./new_mounts.ts";
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
  /** Where the mounts so far are, in their order. */
  targets: string[];
  /** Mounts that become read-only only when everything stands. */
  readOnlyLater: { mount: Slot; does: string }[];
  /** Memory file systems that begin with what they cover. */
  copies: { from: Slot; to: Slot; does: string }[];
}

/** What mounts need besides the spec's list of them. */
export interface MountInputs {
  /** Sources of bind mounts that are open already, by `sourceKey`. */
  sources: ReadonlyMap<string, Slot>;
  /** Detached mounts that are given, by the index of the facts' `idMapped`. */
  idmaps: readonly number[];
  /** Whether the host's paths are not those that sources are looked for by. */
  isElsewhere: boolean;
  /** `linux.mountLabel`: the SELinux context of what is in new file systems. */
  label: string | undefined;
}

/** Makes the spec's mounts, in order. */
export function addMounts(paths: Paths, mounts: readonly Mount[], facts: Facts, inputs: MountInputs): Mounted {
  const mounted: Mounted = { devIsBind: false, fresh: new Map(), targets: [], readOnlyLater: [], copies: [] };
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
    this.target = mountTarget(mount, facts);
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
    this.mounted.targets.push(this.target);
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
      errors: {
        ELOOP:
          `${does}: filesystem "${this.type}" must be mounted on ordinary directory: the image has a symbolic link`,
      },
    };
    program.add({ ...open, allow: ["ENOENT"], otherwise: missing, then: found });
    program.bind(missing);
    paths.ensure(target, "directory", does);
    program.add(open);
    program.bind(found);
    return slot;
  }

  #bind(): void {
    const { paths, does, options } = this;
    const source = this.#source();
    const { sources, root } = this.facts;
    const kind = sources.get(source);
    const brought = broughtSource(source, root, this.mounted.targets, kind !== undefined);
    const missing = `${does}: the source does not exist; make it first or correct the path`;
    if (brought !== undefined || this.inputs.isElsewhere) {
      const mount = brought === undefined
        ? this.#openSource(source)
        : this.#clone(paths.open(brought, does, { ENOENT: missing }));
      addBindAttributes(paths, mount, options, does);
      this.#attachBrought(mount);
      this.#finish(mount);
      return;
    }
    if (kind === undefined) throw new Failure("NotFound", missing);
    const mount = this.#openSource(source);
    addBindAttributes(paths, mount, options, does);
    this.#attach(mount, this.#place(kind));
  }

  /** Attaches what is only now known to be a directory or not. */
  #attachBrought(mount: Slot | number): void {
    const { program, paths, does } = this;
    const file = new Label(paths.name("file")), done = new Label(paths.name("attached"));
    program.add({
      call: "openat",
      args: [mount, ".", flag("O_PATH", "O_DIRECTORY", "O_CLOEXEC"), 0],
      does,
      allow: ["ENOTDIR"],
      otherwise: file,
    });
    const attach = (kind: "directory" | "file", then: Label) => {
      const place = this.#place(kind);
      paths.keepKernelFiles(place, this.target, does);
      paths.attach(mount, place, does, { then });
    };
    attach("directory", done);
    program.bind(file);
    attach("file", done);
    program.bind(done);
  }

  /** The source as a detached mount. */
  #openSource(source: string): Slot | number {
    const key = sourceKey(source, this.mount.destination);
    const index = this.facts.idMapped?.indexOf(key) ?? -1;
    if (index >= 0) return this.inputs.idmaps[index]!;
    return this.inputs.sources.get(key) ?? this.#clone(source);
  }

  /** A further, detached mount of what is at the path, or was opened. */
  #clone(source: string | Slot): Slot {
    const names: ConstantName[] = ["OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC"];
    if (this.options.recursiveBind) names.push("AT_RECURSIVE");
    if (source instanceof Slot) names.push("AT_EMPTY_PATH");
    return this.program.result(`${this.name}.mount`, {
      call: "open_tree",
      args: [...(source instanceof Slot ? [source, ""] : [flag("AT_FDCWD"), source]), flag(...names)],
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
    this.#finish(mount);
  }

  /** What is set on a mount in its place. */
  #finish(mount: Slot | number): void {
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
