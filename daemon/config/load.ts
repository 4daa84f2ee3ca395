/**
 * From files to the configuration: read, migrated, merged, checked.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import { checkConfig } from "./check.ts";
import { type Config, typedConfig } from "./config.ts";
import { cleanPath, expandImport } from "./imports.ts";
import { mergeConfig } from "./merge.ts";
import { migrate, versionOf } from "./migrate.ts";
import { type Overrides, overridesTree } from "./overrides.ts";
import { type Problem, showProblem } from "./problem.ts";
import { readConfigFile } from "./read_file.ts";
import { defaultConfig, defaultPath } from "./root_schema.ts";
import type { PluginSchema } from "./schema.ts";
import { emptyTable, itemAt, type Origin, showOrigin, stringLeaf, type Table, tableAt, textsOf } from "./tree.ts";

/** So many files may be read; imports that make new names for ever end here. */
const filesMax = 1000;

/** So many problems are told; nobody reads more. Errors are told beyond that, for they end the daemon. */
const problemsMax = 1000;

/** What {@link loadConfig} needs. */
export interface LoadOptions {
  /** The file; without it containerd's usual one, which may be missing. */
  readonly path?: string | undefined;
  /** Whether a file that was named may be missing too. */
  readonly missingIsFine?: boolean;
  /** Whether the file counts alone: what it imports is not read, and `imports` stays as it is written. */
  readonly alone?: boolean;
  /** Flags of the command line. */
  readonly overrides?: Overrides;
  /** The plugins that there are, and their keys. */
  readonly schemas: readonly PluginSchema[];
  /** URIs whose sections are kept but not looked at. */
  readonly foreign: ReadonlySet<string>;
  readonly signal?: AbortSignal;
}

/** What the files say. */
export interface LoadedConfig {
  /** Everything, defaults included; each value knows where it was written. */
  readonly tree: Table;
  /** The files that were read, in that order. */
  readonly files: readonly string[];
  /** All that is wrong but did not keep the files from being read. */
  readonly problems: readonly Problem[];
  /** The typed values. Throws `InvalidArgument` where a problem is an error. */
  config(): Config;
}

interface ReadFile {
  readonly path: string;
  readonly tree: Table;
}

/**
 * Loads the configuration. Throws `NotFound` for a missing file, `InvalidArgument` with file, row and column for what is
 * no TOML or of a version that is too high, and what reading a file throws.
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const problems: Problem[] = [];
  const report = (problem: Problem) => {
    if (problems.length < problemsMax || problem.severity === "error") problems.push(problem);
  };
  const files = await readFiles(options);
  const migrated = files.map(({ tree }) => migrate(tree, report));
  const defaults = defaultConfig(options.schemas);
  if (files.length > 0) defaults.entries.delete("imports");
  const written = migrated.reduce(mergeConfig, emptyTable());
  const overridden = overridesTree(options.overrides ?? {}, written);
  const tree = mergeConfig(migrated.reduce(mergeConfig, defaults), overridden);
  const proxies = tableAt(tree, "proxy_plugins")?.entries.keys() ?? [];
  const known = { schemas: options.schemas, foreign: options.foreign, proxies: [...proxies] };
  for (const file of [...migrated, overridden]) checkConfig(file, known, report);
  checkDirectories(tree, report);
  const paths = files.map(({ path }) => path);
  if (paths.length > 0 && options.alone !== true) listFiles(tree, paths);
  return { tree: inOrder(tree, defaults), files: paths, problems, config: () => typedOrThrow(tree, problems) };
}

/** The file and what it imports, breadth-first, each once. */
async function readFiles({ path, missingIsFine, alone, signal }: LoadOptions): Promise<ReadFile[]> {
  const files: ReadFile[] = [];
  const root = cleanPath(path ?? defaultPath);
  const mayBeMissing = path === undefined || missingIsFine === true;
  let versionMax = 0;
  const seen = new Set<string>();
  const pending = [root];
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    if (seen.has(next)) continue;
    if (seen.size >= filesMax) {
      throw new Failure("InvalidArgument", `${root}: the imports name more than ${filesMax} files`);
    }
    seen.add(next);
    let text: string;
    try {
      text = await readConfigFile(next, signal);
    } catch (error) {
      if (next === root && mayBeMissing && isFailure(error, "NotFound")) return [];
      throw error;
    }
    const { readDocument } = await import("./document.ts");
    const tree = await readDocument(text, next);
    const version = versionOf(tree);
    if (versionMax === 0) versionMax = version;
    if (version > versionMax) {
      const place = showOrigin(itemAt(tree, "version")?.at ?? tree.at);
      throw new Failure(
        "InvalidArgument",
        `${place}: drop-in config version ${version} higher than root config version ${versionMax}`,
      );
    }
    files.push({ path: next, tree });
    if (alone === true) break;
    for (const entry of textsOf(itemAt(tree, "imports"))) pending.push(...await expandImport(entry, next));
  }
  return files;
}

/** Afterwards `imports` tells what was read, as containerd has it. */
function listFiles(tree: Table, paths: readonly string[]): void {
  const at: Origin = { file: paths[0]!, line: 0, column: 0 };
  tree.entries.set("imports", { kind: "list", items: paths.map((path) => stringLeaf(path, at)), at });
}

function checkDirectories(tree: Table, report: (problem: Problem) => void): void {
  for (const key of ["root", "state"]) {
    const item = itemAt(tree, key);
    if (item?.kind === "string" && !item.value.startsWith("/")) {
      const message = `${key} is ${JSON.stringify(item.value)}: want an absolute path`;
      report({ severity: "error", at: item.at, message });
    }
  }
  const root = itemAt(tree, "root"), state = itemAt(tree, "state");
  if (root?.kind !== "string" || state?.kind !== "string") return;
  if (cleanPath(root.value) === cleanPath(state.value)) {
    const message = `root and state must be different paths: both are ${JSON.stringify(root.value)}`;
    report({ severity: "error", at: state.at, message });
  }
}

/** Keys as the defaults order them, plugins by name; what is unknown comes last. */
function inOrder(tree: Table, defaults: Table): Table {
  const order = ["version", "root", "state", "temp", "disabled_plugins", "required_plugins", "oom_score", "imports"];
  for (const key of defaults.entries.keys()) if (!order.includes(key)) order.push(key);
  // The entries of proxies stand before the timeouts, though by default there are none.
  order.splice(order.indexOf("timeouts"), 0, "proxy_plugins");
  const rank = (key: string) => order.includes(key) ? order.indexOf(key) : order.length;
  const entries = [...tree.entries].sort(([a], [b]) => rank(a) - rank(b));
  return {
    ...tree,
    entries: new Map(entries.map(([key, item]) => {
      if (key !== "plugins" || item.kind !== "table") return [key, item];
      const sections = [...item.entries].sort(([a], [b]) => a < b ? -1 : 1);
      return [key, { ...item, entries: new Map(sections) }];
    })),
  };
}

function typedOrThrow(tree: Table, problems: readonly Problem[]): Config {
  const errors = problems.filter(({ severity }) => severity === "error");
  const first = errors[0];
  if (first === undefined) return typedConfig(tree);
  const more = errors.length === 1 ? "" : ` (and ${errors.length - 1} more: containerd config check shows all)`;
  throw new Failure("InvalidArgument", showProblem(first) + more);
}
