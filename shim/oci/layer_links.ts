/**
 * Links of an overlay that is not mounted yet, read from its layers.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { errnoName } from "../../ffi/errno.ts";
import { attempt } from "../../ffi/syscall.ts";
import type { RootSource } from "./plan/facts.ts";
import type { LinkReader } from "./resolve_in_root.ts";

/** The layers, open for reading their links. */
export interface LayerLinks extends Disposable {
  readonly linkAt: LinkReader;
}

/** Opens the layers; one that cannot be opened has no links. */
export function openLayerLinks({ base, upper, lower }: Extract<RootSource, { kind: "overlay" }>): LayerLinks {
  const layers: Descriptor[] = [];
  for (const layer of [...upper === undefined ? [] : [upper], ...lower]) {
    try {
      layers.push(openFile(`${base}/${layer}`, flags("O_PATH", "O_DIRECTORY")));
    } catch {
      // The mount will say what is wrong with it.
    }
  }
  return {
    linkAt: (path) => linkIn(layers, path.slice(1)),
    [Symbol.dispose]: () => layers.forEach((layer) => layer.close()),
  };
}

/** What the topmost layer has that has the path at all; a whiteout is a device, and so no link. */
function linkIn(layers: readonly Descriptor[], path: string): string | undefined {
  for (const layer of layers) {
    const opened = openIn(layer, path);
    if (opened >= 0) {
      using found = new Descriptor(opened);
      return targetOf(found);
    }
    // Something on the way that is no directory hides what is below it.
    if (errnoName(-opened) !== "ENOENT" || hidesLower(layer, path)) return undefined;
  }
  return undefined;
}

/** Opens a path of the layer, or gives the error's negative number; nothing on the way may be a link. */
function openIn(layer: Descriptor, path: string): number {
  // struct open_how: flags, mode, resolve. A link at the end is opened itself.
  const how = new BigUint64Array([
    BigInt(flags("O_PATH", "O_NOFOLLOW", "O_CLOEXEC")),
    0n,
    BigInt(flags("RESOLVE_NO_SYMLINKS", "RESOLVE_BENEATH")),
  ]);
  return attempt("openat2", layer.number, path, how, how.byteLength);
}

const buffer = new Uint8Array(4096);

function targetOf(link: Descriptor): string | undefined {
  const length = attempt("readlinkat", link.number, "", buffer, buffer.length);
  // An empty path of what is no link.
  return length < 0 ? undefined : new TextDecoder().decode(buffer.subarray(0, length));
}

/** Whether a directory on the way to the path is opaque: nothing of lower layers is seen in it. */
function hidesLower(layer: Descriptor, path: string): boolean {
  const parts = path.split("/");
  for (let length = 1; length < parts.length; length++) {
    const opened = openIn(layer, parts.slice(0, length).join("/"));
    if (opened < 0) return false;
    using directory = new Descriptor(opened);
    if (isOpaque(directory)) return true;
  }
  return false;
}

function isOpaque(directory: Descriptor): boolean {
  const value = new Uint8Array(1);
  const path = `/proc/self/fd/${directory.number}`;
  return ["trusted", "user"].some((space) =>
    attempt("getxattr", path, `${space}.overlay.opaque`, value, value.length) === 1 && value[0] === 0x79
  );
}
