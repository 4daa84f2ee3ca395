/**
 * Names and marks by which a layer removes what lower layers have.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** Overlayfs: with value "y" on a directory of an upper layer, nothing of the layers below is seen in it. */
export const opaqueXattr = "trusted.overlay.opaque";

const prefix = ".wh.";

/** Whether the name marks its directory as opaque (OCI image layer specification). */
export function isOpaqueMark(name: string): boolean {
  return name === ".wh..wh..opq";
}

/** The name that a whiteout removes. Throws `InvalidArgument` where none is left or it leads elsewhere. */
export function whiteoutName(name: string, entryName: string): string {
  const removed = name.slice(prefix.length);
  if (removed === "" || removed === "." || removed === "..") {
    throw new Failure("InvalidArgument", `invalid whiteout name: ${entryName}: invalid archive`);
  }
  return removed;
}
