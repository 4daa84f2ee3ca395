/**
 * Up to version 2 CRI had one section; now images and runtime have their own. Nothing reads these sections yet, but a
 * file that is migrated keeps its meaning.
 *
 * @module
 */
import { isZero, type Item, itemAt, openTable, type Table, tableAt, textOf } from "./tree.ts";

const server = ["plugins", "io.containerd.grpc.v1.cri"] as const;
const images = ["plugins", "io.containerd.cri.v1.images"] as const;
const runtime = ["plugins", "io.containerd.cri.v1.runtime"] as const;

/** What stays in the old section. */
const serverKeys = new Set([
  "disable_tcp_service",
  "stream_server_address",
  "stream_server_port",
  "stream_idle_timeout",
  "enable_tls_streaming",
  "x509_key_pair_streaming",
]);

/** Keys of images: path in the old section → path in the new one. Old values override what is there. */
const imageKeys: readonly (readonly [from: readonly string[], to: readonly string[]])[] = [
  [["sandbox_image"], ["pinned_images", "sandbox"]],
  ...[
    "registry",
    "image_decryption",
    "max_concurrent_downloads",
    "image_pull_progress_timeout",
    "image_pull_with_sync_fs",
    "stats_collect_period",
  ].map((key) => [[key], [key]] as const),
  ...["snapshotter", "disable_snapshot_annotations", "discard_unpacked_layers"].map((key) =>
    [["containerd", key], [key]] as const
  ),
];

/** Distributes the old section. */
export function migrateCri(tree: Table): void {
  const old = tableAt(tree, ...server);
  if (old === undefined) return;
  for (const [from, to] of imageKeys) {
    const item = take(old, from);
    if (item !== undefined) put(tree, [...images, ...to], item);
  }
  for (const [key, item] of [...old.entries]) {
    if (serverKeys.has(key)) continue;
    old.entries.delete(key);
    // `containerd` may be empty now.
    if (key === "containerd" && isZero(item)) continue;
    putMissing(tree, [...runtime, key], item);
  }
  const section = tableAt(tree, ...runtime);
  if (section === undefined) return;
  listBinDir(section);
  for (const [, options] of tableAt(section, "containerd", "runtimes")?.entries ?? []) {
    if (options.kind === "table") renameSandboxMode(options);
  }
}

function take(table: Table, path: readonly string[]): Item | undefined {
  const parent = tableAt(table, ...path.slice(0, -1));
  const key = path.at(-1)!;
  const item = parent?.entries.get(key);
  parent?.entries.delete(key);
  return item;
}

function put(tree: Table, path: readonly string[], item: Item): void {
  openTable(tree, path.slice(0, -1), item.at)?.entries.set(path.at(-1)!, item);
}

/** Adds what is not there yet, table by table. */
function putMissing(tree: Table, path: readonly string[], item: Item): void {
  const existing = itemAt(tree, ...path);
  if (existing === undefined) put(tree, path, item);
  else if (existing.kind === "table" && item.kind === "table") {
    for (const [key, entry] of item.entries) putMissing(tree, [...path, key], entry);
  }
}

/** `bin_dir` is the only entry of `bin_dirs`. Where both are written they stay: CRI refuses that. */
function listBinDir(section: Table): void {
  const cni = tableAt(section, "cni");
  const directory = cni?.entries.get("bin_dir");
  if (cni === undefined || directory === undefined || cni.entries.has("bin_dirs")) return;
  if (directory.kind !== "string") return;
  cni.entries.delete("bin_dir");
  if (textOf(directory) !== "") cni.entries.set("bin_dirs", { kind: "list", items: [directory], at: directory.at });
}

function renameSandboxMode(options: Table): void {
  const mode = options.entries.get("sandbox_mode");
  if (mode === undefined) return;
  options.entries.delete("sandbox_mode");
  if (!options.entries.has("sandboxer")) options.entries.set("sandboxer", mode);
}
