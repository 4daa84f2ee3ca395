/**
 * What the daemon's command line changes in its configuration.
 *
 * @module
 */
import { cleanPath } from "./imports.ts";
import { emptyTable, openTable, type Origin, stringLeaf, type Table } from "./tree.ts";

/** Values of flags; what is undefined changes nothing. */
export interface Overrides {
  /** `--root`; relative paths begin at the working directory. */
  readonly root?: string | undefined;
  /** `--state`; as `root`. */
  readonly state?: string | undefined;
  /** `--address` of the gRPC socket. */
  readonly address?: string | undefined;
  /** `--log-level`. */
  readonly logLevel?: string | undefined;
}

const commandLine: Origin = { file: "command line", line: 0, column: 0 };

/**
 * A tree that holds what the flags say, to be merged over `written`, which is all that files say. With an address ttrpc
 * listens beside it, unless a file has a section for ttrpc.
 */
export function overridesTree(overrides: Overrides, written: Table): Table {
  const tree = emptyTable(commandLine);
  const set = (path: readonly string[], key: string, value: string | undefined) => {
    if (value === undefined || value === "") return;
    openTable(tree, path, commandLine)?.entries.set(key, stringLeaf(value, commandLine));
  };
  set([], "root", absolute(overrides.root));
  set([], "state", absolute(overrides.state));
  set(["debug"], "level", overrides.logLevel);
  const { address } = overrides;
  if (address === undefined || address === "") return tree;
  const section = (name: string) => ["plugins", `io.containerd.server.v1.${name}`];
  set(section("grpc"), "address", address);
  const plugins = written.entries.get("plugins");
  const sections = plugins?.kind === "table" ? plugins.entries : undefined;
  if (sections?.has("io.containerd.server.v1.ttrpc")) return tree;
  set(section("ttrpc"), "address", `${address}.ttrpc`);
  const grpc = sections?.get("io.containerd.server.v1.grpc");
  for (const key of ["uid", "gid"]) {
    const owner = grpc?.kind === "table" ? grpc.entries.get(key) : undefined;
    if (owner !== undefined) openTable(tree, section("ttrpc"), commandLine)?.entries.set(key, owner);
  }
  return tree;
}

function absolute(path: string | undefined): string | undefined {
  return path === undefined || path === "" || path.startsWith("/") ? path : cleanPath(`${Deno.cwd()}/${path}`);
}
