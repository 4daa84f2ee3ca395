/**
 * `barge daemon config`, `containerd config`: the daemon's configuration, shown, brought up to date and checked.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { nearestName } from "../../api/nearest_name.ts";
import { aboutKey } from "../../daemon/config/about.ts";
import { loadConfig, type LoadedConfig } from "../../daemon/config/load.ts";
import { type Problem, type Severity, showProblem } from "../../daemon/config/problem.ts";
import { defaultConfig } from "../../daemon/config/root_schema.ts";
import { type Item, showOrigin } from "../../daemon/config/tree.ts";
import { writeDocument } from "../../daemon/config/write.ts";
import { foreignPlugins, pluginSchemas } from "../../daemon/plugins/schemas.ts";
import { renderHelp } from "../flag_help.ts";
import { type FlagTable, type Parsed, parseFlags } from "../flags.ts";
import { checkFlags, configFlags, defaultFlags, dumpFlags, migrateFlags } from "./config_flags.ts";

/** Where the command writes, and what the flags before it said. */
export interface ConfigIo {
  /** Takes text for standard output. */
  readonly out: (text: string) => void;
  /** Takes text for standard error. */
  readonly err: (text: string) => void;
  /** `--config` of the daemon's own command line. */
  readonly config?: string | undefined;
  /** Ends the reading of files. */
  readonly signal?: AbortSignal;
}

interface Command {
  readonly help: string;
  readonly flags: FlagTable;
  readonly run: (args: string[], io: ConfigIo) => Promise<number>;
}

const commands: Readonly<Record<string, Command>> = {
  default: {
    help: "Print the configuration that counts where nothing is written",
    flags: defaultFlags,
    run: showDefault,
  },
  dump: { help: "Print the configuration with its imports and all defaults", flags: dumpFlags, run: dump },
  migrate: {
    help: "Print the file in the current version, to be stored instead; its imports are not part of it",
    flags: migrateFlags,
    run: migrate,
  },
  check: { help: "List what is wrong with the configuration; fail where anything is", flags: checkFlags, run: check },
};

const dialect = { interspersed: false, singleDashLong: true } as const;

/** Performs `config COMMAND …`; `args` begin after the word `config`. Gives the exit code. */
export async function configCommand(args: string[], io: ConfigIo): Promise<number> {
  try {
    const { flags, args: [name, ...rest], help } = parseFlags(configFlags, args, dialect);
    if (help || name === undefined || name === "help" || name === "h") {
      io.out(overview());
      return 0;
    }
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (command === undefined) return unknownCommand(name, io);
    return await command.run(rest, { ...io, config: flags.config ?? io.config });
  } catch (error) {
    io.err(`containerd: ${messageOf(error)}\n`);
    return 1;
  }
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map(({ length }) => length));
  const lines = Object.entries(commands).map(([name, { help }]) => `  ${name.padEnd(width)}  ${help}`);
  const usage = "containerd config [flags] COMMAND";
  return renderHelp(
    { usage, description: `The daemon's configuration.\n\nCommands:\n${lines.join("\n")}` },
    configFlags,
  );
}

/** urfave's words and exit code, and a hint. */
function unknownCommand(name: string, io: ConfigIo): number {
  const nearest = nearestName(name, Object.keys(commands));
  io.err(`No help topic for '${name}'${nearest === undefined ? "" : `: did you mean "${nearest}"?`}\n`);
  return 3;
}

/** Flags of a command that takes no arguments; undefined where its help was asked for, and is printed. */
function flagsOf<const T extends FlagTable>(
  name: string,
  table: T,
  args: string[],
  io: ConfigIo,
): Parsed<T>["flags"] | undefined {
  const parsed = parseFlags(table, args, dialect);
  if (parsed.help) {
    const description = `${commands[name]!.help}.`;
    io.out(
      renderHelp(
        { usage: `containerd config ${name}${Object.keys(table).length > 0 ? " [flags]" : ""}`, description },
        table,
      ),
    );
    return undefined;
  }
  if (parsed.args.length > 0) {
    throw new Failure("InvalidArgument", `config ${name} takes no arguments, but there is "${parsed.args[0]}"`);
  }
  return parsed.flags;
}

// Async like the others of the table.
// deno-lint-ignore require-await
async function showDefault(args: string[], io: ConfigIo): Promise<number> {
  const flags = flagsOf("default", defaultFlags, args, io);
  if (flags === undefined) return 0;
  const about = (_item: Item, path: readonly string[]) => aboutKey(path, pluginSchemas);
  io.out(writeDocument(defaultConfig(pluginSchemas), flags.explain ? { remark: about } : {}));
  return 0;
}

async function dump(args: string[], io: ConfigIo): Promise<number> {
  const flags = flagsOf("dump", dumpFlags, args, io);
  return flags === undefined ? 0 : print(io, await load(io, flags.config, { missingIsFine: true }), flags.origins);
}

async function migrate(args: string[], io: ConfigIo): Promise<number> {
  const flags = flagsOf("migrate", migrateFlags, args, io);
  if (flags === undefined) return 0;
  // Each file is migrated by itself: the imported ones stay beside it, and count after it.
  return print(io, await load(io, flags.config, { missingIsFine: true, alone: true }), false);
}

function print(io: ConfigIo, loaded: LoadedConfig, origins: boolean): number {
  const errors = loaded.problems.filter(({ severity }) => severity === "error");
  for (const problem of errors.length > 0 ? errors : loaded.problems) {
    const word = problem.severity === "error" ? "error" : "warning";
    io.err(`containerd: ${word}: ${showProblem(problem)}\n`);
  }
  // A dump in which defaults stand for what could not be read would be believed.
  if (errors.length > 0) return 1;
  io.out(writeDocument(loaded.tree, origins ? { remark: ({ at }) => showOrigin(at) } : {}));
  return 0;
}

const words: Readonly<Record<Severity, string>> = { error: "error", problem: "warning", note: "note" };

async function check(args: string[], io: ConfigIo): Promise<number> {
  const flags = flagsOf("check", checkFlags, args, io);
  if (flags === undefined) return 0;
  const { problems, files } = await load(io, flags.config);
  for (const problem of [...problems].sort(byPlace(files))) {
    io.out(`${showOrigin(problem.at)}: ${words[problem.severity]}: ${problem.message}\n`);
  }
  if (files.length === 0) io.out("there is no configuration file: the defaults count\n");
  const failed = problems.some(({ severity }) => severity !== "note");
  if (!failed) { for (const file of files) io.out(`${file}: ok\n`); }
  return failed ? 1 : 0;
}

/** By file in the order of reading, then by line. */
function byPlace(files: readonly string[]): (a: Problem, b: Problem) => number {
  return ({ at: a }, { at: b }) =>
    files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column;
}

function load(
  io: ConfigIo,
  config: string | undefined,
  options: { missingIsFine?: boolean; alone?: boolean } = {},
): Promise<LoadedConfig> {
  return loadConfig({
    path: config ?? io.config,
    ...options,
    schemas: pluginSchemas,
    foreign: foreignPlugins,
    ...io.signal === undefined ? {} : { signal: io.signal },
  });
}
