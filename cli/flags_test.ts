import { deepStrictEqual as equal, ok, throws } from "node:assert/strict";
import { Failure, isFailure } from "../api/errors.ts";
import { renderHelp } from "./flag_help.ts";
import { type FlagTable, parseFlags } from "./flags.ts";

const table = {
  tty: { kind: "boolean", short: "t", help: "Give it a terminal" },
  interactive: { kind: "boolean", short: "i", help: "Keep standard input open" },
  proxy: { kind: "boolean", default: true, help: "Forward signals" },
  env: { kind: "list", short: "e", value: "NAME[=VALUE]", help: "Set a variable" },
  capAdd: { kind: "list", value: "NAME", help: "Add a capability" },
  memory: { kind: "value", short: "m", value: "BYTES", parse: parseNumber, help: "Limit memory" },
  size: { kind: "value", value: "BYTES", parse: parseNumber, default: "64", help: "Size" },
  network: { kind: "choice", choices: ["host", "none"], default: "none", aliases: ["net"], help: "Network" },
  verbose: { kind: "count", short: "v", help: "Say more" },
  noPivot: { kind: "boolean", help: "Do not pivot" },
} as const satisfies FlagTable;

function parseNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new Failure("InvalidArgument", "want a number of bytes");
  return Number(text);
}

const sentence = (args: string[], options = {}): string => {
  try {
    parseFlags(table, args, options);
  } catch (error) {
    ok(isFailure(error, "InvalidArgument"), String(error));
    return error.message;
  }
  throw new Error(`${args.join(" ")} was accepted`);
};

Deno.test("parseFlags() gives defaults, typed by the table", () => {
  const { flags, args, given, help } = parseFlags(table, []);
  const typed: { tty: boolean; env: string[]; memory: number | undefined; size: number; network: "host" | "none" } =
    flags;
  equal(typed.memory, undefined);
  equal([flags.tty, flags.proxy, flags.env, flags.size, flags.network, flags.verbose], [
    false,
    true,
    [],
    64,
    "none",
    0,
  ]);
  equal([args, given.size, help], [[], 0, false]);
});

Deno.test("parseFlags() reads values joined, apart and glued to the letter", () => {
  const line = ["--env", "A=1", "--env=B=2,3", "-e", "C", "-eD=4", "-e=E=5", "-m16", "--memory=32", "--cap-add=ALL"];
  const { flags, given } = parseFlags(table, line);
  equal(flags.env, ["A=1", "B=2,3", "C", "D=4", "E=5"]);
  equal(flags.memory, 32);
  equal(flags.capAdd, ["ALL"]);
  equal([...given], ["env", "memory", "capAdd"]);
});

Deno.test("parseFlags() reads grouped letters, the last of which may take a value", () => {
  const { flags } = parseFlags(table, ["-ite", "A=1", "-vv", "-v"]);
  equal([flags.interactive, flags.tty, flags.env, flags.verbose], [true, true, ["A=1"], 3]);
  equal(parseFlags(table, ["-vv", "--verbose=5", "-v"]).flags.verbose, 6);
});

Deno.test("parseFlags() takes a value that begins with a dash", () => {
  equal(parseFlags(table, ["-e", "-x", "--env", "--", "a"]).flags.env, ["-x", "--"]);
});

Deno.test("parseFlags() reads Go's words for a boolean, and the last one counts", () => {
  equal(parseFlags(table, ["--proxy=0"]).flags.proxy, false);
  equal(parseFlags(table, ["-t", "-t=False"]).flags.tty, false);
  equal(sentence(["--tty=yes"]), 'invalid value "yes" for --tty: want true or false');
});

Deno.test("parseFlags() lets flags follow positionals unless interspersed is false", () => {
  equal(parseFlags(table, ["a", "-t", "--", "-i"]).args, ["a", "-i"]);
  const docker = parseFlags(table, ["-t", "image", "-i", "--", "x"], { interspersed: false });
  equal([docker.flags.tty, docker.flags.interactive, docker.args], [true, false, ["image", "-i", "--", "x"]]);
  equal(parseFlags(table, ["-t", "--", "-i"], { interspersed: false }).args, ["-i"]);
  equal(parseFlags(table, ["-", "-t"]).args, ["-"]);
});

Deno.test("parseFlags() accepts long flags with one dash where urfave/cli would", () => {
  const urfave = { singleDashLong: true };
  const line = ["-no-pivot", "-m", "5", "-net=host", "-env", "A=1", "--tty", "-e=B"];
  const { flags } = parseFlags(table, line, urfave);
  equal([flags.noPivot, flags.memory, flags.network, flags.env, flags.tty], [true, 5, "host", ["A=1", "B"], true]);
  equal(parseFlags(table, ["-it"], urfave).flags.interactive, true);
  equal(parseFlags(table, ["-help"], urfave).help, true);
  equal(sentence(["-no-pivit"], urfave), "unknown flag -no-pivit: did you mean --no-pivot?");
  equal(sentence(["-no-pivot"]), "unknown flag -n: see --help");
});

Deno.test("parseFlags() names the nearest flag for an unknown one", () => {
  equal(sentence(["--memroy=1"]), "unknown flag --memroy: did you mean --memory?");
  equal(sentence(["--privileged"]), "unknown flag --privileged: see --help");
  equal(sentence(["-tz"]), "unknown flag -z: see --help");
});

Deno.test("parseFlags() names flag and value for a missing or bad value", () => {
  equal(sentence(["-m"]), "flag -m needs a value: -m BYTES");
  equal(sentence(["--network"]), "flag --network needs a value: --network host|none");
  equal(sentence(["--memory", "lots"]), 'invalid value "lots" for --memory: want a number of bytes');
  equal(sentence(["--net=bridge"]), 'invalid value "bridge" for --net: want host or none');
});

Deno.test("parseFlags() does not dress up a mistake of a value's parser", () => {
  const broken = { x: { kind: "value", value: "X", parse: () => null!, help: "" } } as const;
  const parse = () => {
    throw new TypeError("a mistake");
  };
  throws(() => parseFlags({ x: { ...broken.x, parse } }, ["--x=1"]), TypeError);
});

Deno.test("parseFlags() stops at --help, and -h is help unless the table has it", () => {
  equal(parseFlags(table, ["--help", "--nonsense"]).help, true);
  equal(parseFlags(table, ["-th", "--nonsense"]).help, true);
  const own = { host: { kind: "value", short: "h", value: "NAME", help: "" } } as const;
  equal(parseFlags(own, ["-h", "x"]).flags.host, "x");
});

Deno.test("renderHelp() aligns the flags of the table and tells defaults", () => {
  const some = { tty: table.tty, env: table.env, network: table.network, proxy: table.proxy } as const;
  equal(
    renderHelp({ usage: "barge run [flags] IMAGE", description: "Run a program." }, some),
    `Usage: barge run [flags] IMAGE

Run a program.

Flags:
  -t, --tty                Give it a terminal
  -e, --env NAME[=VALUE]   Set a variable (may be repeated)
      --network host|none  Network (default none)
      --proxy              Forward signals (default true)
  -h, --help               Show this text
`,
  );
});
