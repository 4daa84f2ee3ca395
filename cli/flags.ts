/**
 * The command line as a table: flags are declared as data, and the type of what is parsed follows from the table.
 *
 * Three dialects are spoken. The default is docker's (pflag): `--flag value`, `--flag=value`, grouped shorts `-it`,
 * `-eK=V`. With `interspersed: false` the first positional ends the flags, as in `docker run`. With
 * `singleDashLong: true` a long flag may have one dash, as runc and ctr (urfave/cli) allow.
 *
 * @module
 */
import { Failure } from "../api/errors.ts";
import { nearestName } from "../api/nearest_name.ts";

/** What every flag has. */
interface FlagBase {
  /** The long name, where it is not the table's key with dashes. */
  readonly name?: string;
  /** One letter. */
  readonly short?: string;
  /** Further long names. */
  readonly aliases?: readonly string[];
  /** One clause for the help text, without a final period. */
  readonly help: string;
  /** Accepted, but not in the help text. */
  readonly hidden?: boolean;
}

/** On or off; `--flag`, `--flag=false`. */
export interface BooleanFlag extends FlagBase {
  readonly kind: "boolean";
  /** False unless said otherwise. */
  readonly default?: boolean;
}

/** Counts how often it is given: `-v -v`, `-vv`, `--verbose=2`. */
export interface CountFlag extends FlagBase {
  readonly kind: "count";
}

/** One value; where it is given twice the last one counts. */
export interface ValueFlag extends FlagBase {
  readonly kind: "value";
  /** Stands for the value in the help text. */
  readonly value: string;
  /** Makes the value of its text; throws {@link Failure} with what would be right, and this module adds the rest. */
  readonly parse?: (text: string) => unknown;
  /** The text that counts where the flag is absent; it goes through `parse`. */
  readonly default?: string;
}

/** Values in the order given; never split on commas. */
export interface ListFlag extends FlagBase {
  readonly kind: "list";
  readonly value: string;
  readonly parse?: (text: string) => unknown;
}

/** One of a few words. */
export interface ChoiceFlag extends FlagBase {
  readonly kind: "choice";
  readonly choices: readonly string[];
  readonly default?: string;
}

/** One flag of a table. */
export type Flag = BooleanFlag | CountFlag | ValueFlag | ListFlag | ChoiceFlag;

/** Flags by the name under which the program reads them. */
export type FlagTable = Readonly<Record<string, Flag>>;

type Element<F> = F extends { readonly choices: readonly (infer C)[] } ? C
  : F extends { readonly parse: (text: string) => infer T } ? T
  : string;

type ValueOf<F extends Flag> = F extends { readonly kind: "boolean" } ? boolean
  : F extends { readonly kind: "count" } ? number
  : F extends { readonly kind: "list" } ? Element<F>[]
  : F extends { readonly default: string } ? Element<F>
  : Element<F> | undefined;

/** The values of a table's flags. */
export type FlagValues<T extends FlagTable> = { -readonly [K in keyof T]: ValueOf<T[K]> };

/** A parsed command line. */
export interface Parsed<T extends FlagTable> {
  readonly flags: FlagValues<T>;
  /** The positional arguments. */
  readonly args: string[];
  /** The flags that the command line names, by key. */
  readonly given: ReadonlySet<keyof T>;
  /** `--help` was given: nothing after it was looked at. */
  readonly help: boolean;
}

/** The dialect; see the module. */
export interface ParseOptions {
  /** Whether flags may follow positionals. Default true. */
  readonly interspersed?: boolean;
  /** Whether long flags may have one dash. Default false. */
  readonly singleDashLong?: boolean;
}

/** The long name of a table's key: `capAdd` → `cap-add`. */
export function longName(key: string, flag: Flag): string {
  return flag.name ?? key.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

/** Reads the arguments by the table. Throws `InvalidArgument` with one sentence that names the flag. */
export function parseFlags<const T extends FlagTable>(
  table: T,
  args: readonly string[],
  options: ParseOptions = {},
): Parsed<T> {
  const parser = new Parser(table, options);
  parser.run(args);
  // The values were made by the table's own entries, whose types FlagValues mirrors.
  const flags = parser.values() as FlagValues<T>;
  return { flags, args: parser.positionals, given: parser.given, help: parser.help };
}

interface Named {
  readonly key: string;
  readonly flag: Flag;
}

class Parser {
  readonly positionals: string[] = [];
  readonly given = new Set<string>();
  help = false;
  readonly #longs = new Map<string, Named>();
  readonly #shorts = new Map<string, Named>();
  readonly #texts = new Map<string, unknown[]>();

  constructor(readonly table: FlagTable, readonly options: ParseOptions) {
    for (const [key, flag] of Object.entries(table)) {
      const named = { key, flag };
      for (const name of [longName(key, flag), ...flag.aliases ?? []]) this.#longs.set(name, named);
      if (flag.short !== undefined) this.#shorts.set(flag.short, named);
    }
  }

  run(args: readonly string[]): void {
    for (let i = 0; i < args.length && !this.help; i++) {
      const argument = args[i]!;
      if (argument === "--") {
        this.positionals.push(...args.slice(i + 1));
        return;
      }
      if (argument === "-" || !argument.startsWith("-")) {
        if (this.options.interspersed === false) {
          this.positionals.push(...args.slice(i));
          return;
        }
        this.positionals.push(argument);
        continue;
      }
      const next = () => args[++i];
      if (argument.startsWith("--")) this.#long("--", argument.slice(2), next);
      else if (!this.#singleDash(argument.slice(1), next)) this.#group(argument.slice(1), next);
    }
  }

  #long(dashes: string, text: string, next: () => string | undefined): void {
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    const named = this.#longs.get(name);
    if (named === undefined) {
      if (name === "help") {
        this.help = true;
        return;
      }
      throw this.#unknown(dashes + name);
    }
    this.#take(named, dashes + name, equals < 0 ? undefined : text.slice(equals + 1), next);
  }

  /** A long flag with one dash, or a short one with `=`, as Go's flag package has them. */
  #singleDash(text: string, next: () => string | undefined): boolean {
    if (this.options.singleDashLong !== true) return false;
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    const named = this.#longs.get(name) ?? this.#shorts.get(name);
    if (named !== undefined) {
      this.#take(named, "-" + name, equals < 0 ? undefined : text.slice(equals + 1), next);
      return true;
    }
    if (name !== "help" && [...name].every((letter) => this.#shorts.has(letter) || letter === "h")) return false;
    this.#long("-", text, next);
    return true;
  }

  #group(letters: string, next: () => string | undefined): void {
    for (let i = 0; i < letters.length; i++) {
      const letter = letters[i]!;
      const named = this.#shorts.get(letter);
      if (named === undefined) {
        if (letter !== "h") throw this.#unknown("-" + letter);
        this.help = true;
        return;
      }
      const rest = letters.slice(i + 1);
      if (rest.startsWith("=")) return this.#take(named, "-" + letter, rest.slice(1), next);
      if (wantsValue(named.flag) && rest !== "") return this.#take(named, "-" + letter, rest, next);
      this.#take(named, "-" + letter, undefined, next);
    }
  }

  #take(named: Named, shown: string, inline: string | undefined, next: () => string | undefined): void {
    const { key, flag } = named;
    let text = inline;
    if (text === undefined && wantsValue(flag)) {
      text = next();
      if (text === undefined) {
        throw new Failure("InvalidArgument", `flag ${shown} needs a value: ${shown} ${placeholder(flag)}`);
      }
    }
    this.given.add(key);
    const value = text === undefined ? true : parseValue(flag, shown, text);
    const former = this.#texts.get(key);
    if (former === undefined) this.#texts.set(key, [value]);
    else former.push(value);
  }

  values(): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const [key, flag] of Object.entries(this.table)) {
      const given = this.#texts.get(key);
      if (flag.kind === "list") values[key] = given ?? [];
      else if (flag.kind === "count") values[key] = count(given ?? []);
      else if (given !== undefined) values[key] = given.at(-1);
      else if (flag.kind === "boolean") values[key] = flag.default ?? false;
      else values[key] = flag.default === undefined ? undefined : parseValue(flag, "--" + key, flag.default);
    }
    return values;
  }

  #unknown(shown: string): Failure {
    const names = [...this.#longs].filter(([, named]) => named.flag.hidden !== true).map(([name]) => name);
    const nearest = nearestName(shown.replace(/^-+/, ""), names);
    const hint = nearest === undefined ? "see --help" : `did you mean --${nearest}?`;
    return new Failure("InvalidArgument", `unknown flag ${shown}: ${hint}`);
  }
}

function wantsValue(flag: Flag): boolean {
  return flag.kind !== "boolean" && flag.kind !== "count";
}

/** What stands for a flag's value in texts: `BYTES`, `always|never`. Empty for a flag without value. */
export function placeholder(flag: Flag): string {
  if (flag.kind === "choice") return flag.choices.join("|");
  return flag.kind === "value" || flag.kind === "list" ? flag.value : "";
}

/** The words of Go's `strconv.ParseBool`, which docker, runc and ctr accept. */
const booleans = new Map<string, boolean>([
  ...["1", "t", "T", "TRUE", "true", "True"].map((word) => [word, true] as const),
  ...["0", "f", "F", "FALSE", "false", "False"].map((word) => [word, false] as const),
]);

/** The boolean that Go's `strconv.ParseBool` makes of the text; undefined where it would fail. */
export function parseBoolean(text: string): boolean | undefined {
  return booleans.get(text);
}

function parseValue(flag: Flag, shown: string, text: string): unknown {
  const bad = (want: string, cause?: unknown) =>
    new Failure(
      "InvalidArgument",
      `invalid value ${JSON.stringify(text)} for ${shown}: ${want}`,
      cause === undefined ? undefined : { cause },
    );
  switch (flag.kind) {
    case "boolean": {
      const value = parseBoolean(text);
      if (value === undefined) throw bad("want true or false");
      return value;
    }
    case "count":
      if (!/^\d{1,6}$/.test(text)) throw bad("want a number");
      return Number(text);
    case "choice":
      if (!flag.choices.includes(text)) throw bad(`want ${flag.choices.join(" or ")}`);
      return text;
    case "value":
    case "list":
      if (flag.parse === undefined) return text;
      try {
        return flag.parse(text);
      } catch (error) {
        // Anything but a Failure is a mistake of the parser itself.
        throw error instanceof Failure ? bad(error.message, error) : error;
      }
  }
}

/** `-vv` is two; `--verbose=3` sets the number, and further ones add to it. */
function count(given: readonly unknown[]): number {
  return given.reduce<number>((sum, value) => typeof value === "number" ? value : sum + 1, 0);
}
