/**
 * Objects of the store as a person reads them.
 *
 * @module
 */
import type { ObjectName } from "../../daemon/gc/reader.ts";

const words: Readonly<Record<string, string>> = { content: "blob", ingest: "unfinished write" };

/** Such as `blob sha256:…` or `image "docker.io/library/debian:latest"`. */
export function describe({ kind, key }: ObjectName): string {
  const word = words[kind] ?? kind;
  return kind === "content" ? `${word} ${key}` : `${word} "${key}"`;
}

/** What a reference says, such as `its target` or `label containerd.io/gc.ref.content.l.0`. */
export function describeReference(name: string): string {
  switch (name) {
    case "target":
      return "is its target";
    case "parent":
      return "is its parent";
    case "rootfs":
      return "is its root file system";
    case "lease":
      return "is held by it";
    case "condition":
      return "is referred to while it is in use";
    default:
      return `by label ${name}`;
  }
}
