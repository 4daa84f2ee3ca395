/**
 * Steps that find and make paths inside the container's root.
 *
 * Everything goes through `openat2(RESOLVE_IN_ROOT)` from a descriptor of the root, so that no symbolic link of an
 * image leads out of it, and what was found is used by descriptor.
 *
 * @module
 */
import { constant, type ConstantName, sumOf } from "../../../ffi/constants.ts";
import { flag, Label, type Program, Slot, words } from "../../../ffi/program/program.ts";
import type { Data, Step } from "../../../ffi/program/program.ts";
import type { Arch } from "../../../ffi/arch.ts";
import { branchOnFileSystem } from "./file_system.ts";

/** Size of struct open_how. */
export const openHowSize = 24;

/** struct open_how: flags, mode, resolve. */
export function openHow(arch: Arch, open: readonly ConstantName[], resolve: readonly ConstantName[]): Data {
  return words([sumOf(open, arch), 0, sumOf(resolve)], () => `{${open.join("|")}, resolve=${resolve.join("|")}}`);
}

/** The components of an absolute or relative path, cleaned lexically; `..` ends at the root. */
export function components(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}

/** The path with one leading slash and no `.`, `..` or doubled slashes. */
export function cleanPath(path: string): string {
  return `/${components(path).join("/")}`;
}

/** Path handling of one program: it shares the open_how structs. */
export class Paths {
  readonly #inRoot: Data;
  readonly #directoryInRoot: Data;
  #count = 0;

  constructor(readonly program: Program, readonly root: Slot, readonly arch: Arch) {
    const resolve: ConstantName[] = ["RESOLVE_IN_ROOT", "RESOLVE_NO_MAGICLINKS"];
    this.#inRoot = openHow(arch, ["O_PATH", "O_CLOEXEC"], resolve);
    this.#directoryInRoot = openHow(arch, ["O_PATH", "O_CLOEXEC", "O_DIRECTORY"], resolve);
  }

  /** A name for a slot or label that no other has. */
  name(base: string): string {
    return `${base}${++this.#count}`;
  }

  /** Opens an existing path of the root. */
  open(path: string, does: string, errors: NonNullable<Step["errors"]> = {}): Slot {
    return this.program.result(this.name("path"), {
      call: "openat2",
      args: [this.root, cleanPath(path), this.#inRoot, openHowSize],
      does,
      errors,
    });
  }

  /**
   * Opens an existing path, of the root or of the mount `from`; where it is missing, or no directory though it should be,
   * the program goes on at `missing`.
   */
  openOr(
    path: string,
    missing: Label,
    does: string,
    { kind = "any", from = this.root }: { kind?: "any" | "directory"; from?: Slot | undefined } = {},
  ): Slot {
    return this.program.result(this.name("path"), {
      call: "openat2",
      args: [from, cleanPath(path), kind === "any" ? this.#inRoot : this.#directoryInRoot, openHowSize],
      does,
      allow: ["ENOENT", "ENOTDIR"],
      otherwise: missing,
    });
  }

  /** Opens the path, and makes what is missing of it: directories (0755), or a file (0644) as the last component. */
  ensure(path: string, kind: "directory" | "file", does: string): Slot {
    const parts = components(path);
    if (parts.length === 0) return this.root;
    const found = new Label(this.name("found"));
    const slot = new Slot(this.name("path"));
    const wanted = kind === "directory" ? this.#directoryInRoot : this.#inRoot;
    const open = (target: Slot, length: number, how: Data, extra: Partial<Step>): void =>
      this.program.add({
        call: "openat2",
        args: [this.root, `/${parts.slice(0, length).join("/")}`, how, openHowSize],
        does,
        into: target,
        ...extra,
      });
    // The usual case first: it exists. A path of one component is looked at in any case.
    if (parts.length > 1) open(slot, parts.length, wanted, { allow: ["ENOENT"], then: found });
    let parent = this.root;
    parts.forEach((part, index) => {
      const last = index === parts.length - 1;
      const target = last ? slot : new Slot(this.name("parent"));
      const missing = new Label(this.name("missing"));
      const next = last ? found : new Label(this.name("exists"));
      const how = last ? wanted : this.#directoryInRoot;
      open(target, index + 1, how, { allow: ["ENOENT"], otherwise: missing, then: next });
      this.program.bind(missing);
      if (last && kind === "file") {
        this.program.add({
          call: "mknodat",
          args: [parent, part, constant("S_IFREG") | 0o644, 0],
          does,
          allow: ["EEXIST"],
        });
      } else {
        this.program.add({ call: "mkdirat", args: [parent, part, 0o755], does, allow: ["EEXIST"] });
      }
      open(target, index + 1, how, {});
      if (!last) this.program.bind(next);
      parent = target;
    });
    this.program.bind(found);
    return slot;
  }

  /**
   * Makes sure that a descriptor which something is to be mounted upon is not one of the kernel's own files, unless the path
   * itself leads there: a link of a volume, which only the kernel can follow, may have led to what others trust (procfs above
   * all: CVE-2019-19921). Goes on with the descriptor of the path without links.
   */
  keepKernelFiles(target: Slot, path: string, does: string): void {
    const [kernels, done] = [new Label(this.name("kernels")), new Label(this.name("covered"))];
    branchOnFileSystem(this.program, target, ["PROC_SUPER_MAGIC", "SYSFS_MAGIC"], kernels, does, done);
    this.program.bind(kernels);
    const resolve: ConstantName[] = ["RESOLVE_IN_ROOT", "RESOLVE_NO_SYMLINKS"];
    this.program.add({
      call: "openat2",
      args: [this.root, path, openHow(this.arch, ["O_PATH", "O_CLOEXEC"], resolve), openHowSize],
      does,
      into: target,
      errors: { ELOOP: `${does}: a symbolic link leads to the kernel's own files, which it would cover` },
    });
    this.program.bind(done);
  }

  /** Puts a detached mount onto the directory or file of the other descriptor. */
  attach(mount: Slot | number, target: Slot, does: string, extra: Partial<Step> = {}): void {
    this.program.add({
      call: "move_mount",
      args: [mount, "", target, "", flag("MOVE_MOUNT_F_EMPTY_PATH", "MOVE_MOUNT_T_EMPTY_PATH")],
      does,
      ...extra,
    });
  }
}
