/**
 * Links of an overlay that is not mounted yet, read from its layers.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { errnoNumber } from "../../ffi/errno.ts";
import { attempt, call } from "../../ffi/syscall.ts";
import type { RootSource } from "./plan/facts.ts";
import type { LinkReader } from "./resolve_in_root.ts";

/** The layers, whose links are read until it is disposed of. */
export interface LayerLinks extends Disposable {
  readonly linkAt: LinkReader;
  /** Whether no link is on the way to the path, or at it: most are so, and are known by a look at each layer. */
  isPlain(path: string): boolean;
}

/** Opens what all layers are below. Where that is not possible there are no links: the mount will say what is wrong. */
export function openLayerLinks({ base, upper, lower }: Extract<RootSource, { kind: "overlay" }>): LayerLinks {
  let directory: Descriptor;
  try {
    directory = openFile(base, flags("O_PATH", "O_DIRECTORY"));
  } catch {
    return { linkAt: () => undefined, isPlain: () => true, [Symbol.dispose]: () => {} };
  }
  // Those that have no directory in common are named by absolute paths.
  const layers = [...upper === undefined ? [] : [upper], ...lower].map((name) => name.replace(/^\/+/, ""));
  const links = new Layers(base, directory, layers, upper !== undefined);
  return {
    linkAt: (path) => links.linkAt(path),
    isPlain: (path) => links.isPlain(path),
    [Symbol.dispose]: () => directory.close(),
  };
}

/** What one layer has at a path: a link (its text), another file, nothing, or a link or file on the way to it. */
type Found = { readonly link: string } | "file" | "nothing" | "blocked";

/** A layer of a committed snapshot: what is in it never changes, and the number never comes back. */
const committed = /\/snapshots\/\d+\/fs$/;

/** What committed layers have, by path on the host: a shim starts many containers of one image. */
const known = new Map<string, Found>();
const knownMax = 4096;

const missing = -errnoNumber("ENOENT");
const buffer = new Uint8Array(4096);

class Layers {
  /** struct open_how: flags, mode, resolve. A link at the end is opened itself, and nothing on the way may be one. */
  readonly #how = new BigUint64Array([
    BigInt(flags("O_PATH", "O_NOFOLLOW", "O_CLOEXEC")),
    0n,
    BigInt(flags("RESOLVE_NO_SYMLINKS", "RESOLVE_BENEATH")),
  ]);
  readonly #isKept: readonly boolean[];

  constructor(
    readonly base: string,
    readonly directory: Descriptor,
    readonly names: readonly string[],
    hasUpper: boolean,
  ) {
    this.#isKept = names.map((name, index) => !(hasUpper && index === 0) && committed.test(`${base}/${name}`));
  }

  isPlain(path: string): boolean {
    for (const index of this.names.keys()) {
      const found = this.#find(index, path);
      if (found !== "nothing") return found === "file";
    }
    return true;
  }

  /** What the topmost layer has that has the path at all; a whiteout is a device, and so no link. */
  linkAt(path: string): string | undefined {
    for (const index of this.names.keys()) {
      const found = this.#find(index, path);
      if (found === "nothing") continue;
      if (typeof found === "string") return undefined;
      // Few paths are links: only then is it looked whether the layers above let it be seen.
      return this.names.slice(0, index).some((name) => this.#hidesLower(name, path)) ? undefined : found.link;
    }
    return undefined;
  }

  #find(index: number, path: string): Found {
    const name = this.names[index]!;
    if (!this.#isKept[index]) return this.#look(name + path);
    const key = `${this.base}/${name}${path}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    if (known.size >= knownMax) known.clear();
    const found = this.#look(name + path);
    known.set(key, found);
    return found;
  }

  #look(path: string): Found {
    const opened = this.#open(path);
    if (opened < 0) return opened === missing ? "nothing" : "blocked";
    using found = new Descriptor(opened);
    // An empty path fails for what is no link.
    const length = attempt("readlinkat", found.number, "", buffer, buffer.length);
    return length < 0 ? "file" : { link: new TextDecoder().decode(buffer.subarray(0, length)) };
  }

  /** A descriptor, or the error's negative number. */
  #open(path: string): number {
    return attempt("openat2", this.directory.number, path, this.#how, this.#how.byteLength);
  }

  /** Whether something on the way to the path keeps what lower layers have there from being seen. */
  #hidesLower(name: string, path: string): boolean {
    const parts = path.split("/");
    for (let length = 2; length < parts.length; length++) {
      const opened = this.#open(name + parts.slice(0, length).join("/"));
      if (opened < 0) return opened !== missing;
      using directory = new Descriptor(opened);
      if (!isDirectory(directory) || isOpaque(directory)) return true;
    }
    return false;
  }
}

function isDirectory(descriptor: Descriptor): boolean {
  const opened = attempt("openat", descriptor.number, ".", flags("O_PATH", "O_DIRECTORY", "O_CLOEXEC"), 0);
  if (opened >= 0) call("close", opened);
  return opened >= 0;
}

function isOpaque(directory: Descriptor): boolean {
  const value = new Uint8Array(1);
  const path = `/proc/self/fd/${directory.number}`;
  return ["trusted", "user"].some((space) =>
    attempt("getxattr", path, `${space}.overlay.opaque`, value, value.length) === 1 && value[0] === 0x79
  );
}
