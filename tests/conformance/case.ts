/**
 * What a case of the conformance suite is: changes of a `config.json`, commands of a runtime, and what must come of them.
 *
 * Cases are data. They are run against any OCI runtime with runc's command line; where runc itself fails one, either the
 * case is wrong, or the difference and its reason stand in the case (`except`).
 *
 * @module
 */
import type { Spec } from "../../api/oci/runtime_spec.ts";

/** Runtimes that the suite knows differences of. */
export type RuntimeName = "barge" | "runc" | "crun";

/** A spec as `runc spec` writes it, which has all of these. */
export type FullSpec =
  & Required<Pick<Spec, "process" | "root" | "mounts" | "linux">>
  & Spec;

/** Where a case runs. Each has a directory, an id and a root file system of its own. */
export interface Place {
  /** The bundle. Everything that a case makes lies below. */
  readonly directory: string;
  readonly id: string;
  /** `DIRECTORY/rootfs`, with a busybox in `/bin`. */
  readonly rootfs: string;
  /** Directory of the containers' states. */
  readonly states: string;
}

/** A text that must come: all of it without white space at its ends, a pattern, or a check that throws. */
export type Expected = string | RegExp | ((text: string, place: Place) => void);

/** One thing that a case does, in order. */
export type Step =
  /** Calls the runtime. In the words `ID` is the container's id, and `DIR` the case's directory. */
  | {
    readonly call: readonly string[];
    /** Exit code; 0 unless it is given. */
    readonly code?: number;
    /** What must come on standard output. */
    readonly out?: Expected;
    /** What must come on standard error: patterns, for words are the runtime's own. */
    readonly err?: RegExp;
    /** Whether `--bundle` is left out of a call that reads one. */
    readonly noBundle?: boolean;
    /** Text for standard input. */
    readonly stdin?: string;
    /** Added to the environment of the runtime. */
    readonly env?: Readonly<Record<string, string>>;
    /** Working directory of the runtime instead of the test's. */
    readonly cwd?: string;
    /** Words in front of the runtime's: a shell that prepares the call, which gets them as `"$@"`. */
    readonly around?: readonly string[];
  }
  /** Waits for a status, or (`gone`) until there is no such container. */
  | { readonly until: "created" | "running" | "paused" | "stopped" | "gone" }
  /** Waits for the first process to be a command of this name: `start` may return before it is. */
  | { readonly runs: string }
  /** Waits for a file below the case's directory to hold something that fits. */
  | { readonly file: string; readonly holds: Expected }
  /** Files of the container's cgroup of version 1 by `CONTROLLER/FILE`, and what they must hold. */
  | { readonly cgroup: Readonly<Record<string, Expected>> }
  /** Looks at the host, or changes it below the case's directory. */
  | { readonly host: (place: Place) => void | Promise<void> };

/** One case. */
export interface Case {
  /** A sentence, unique in the suite. */
  readonly name: string;
  /** Changes the spec, which is the one of `runc spec` without a terminal, with a writable root and its own cgroup. */
  readonly change?: ((spec: FullSpec, place: Place) => void) | undefined;
  /** Text of the `config.json` instead. */
  readonly config?: ((spec: FullSpec, place: Place) => string | Uint8Array) | undefined;
  /** Prepares files below the case's directory. */
  readonly prepare?: ((place: Place) => void | Promise<void>) | undefined;
  readonly steps: readonly Step[];
  /** Which runtimes are not held to this, and why. */
  readonly except?: Readonly<Partial<Record<RuntimeName, string>>> | undefined;
  /** What the machine must have. */
  readonly needs?: "cgroup v1" | undefined;
}

/** Options of {@link inside}. */
export interface InsideOptions extends Pick<Case, "change" | "prepare" | "except" | "needs"> {
  /** Exit code of the shell; 0 unless it is given. */
  readonly code?: number;
  readonly err?: RegExp;
  readonly stdin?: string;
}

/** A case of one `run` in the foreground: what a shell inside must say. */
export function inside(name: string, script: string, out: Expected, options: InsideOptions = {}): Case {
  const { change, prepare, except, needs, ...ends } = options;
  return {
    name,
    prepare,
    except,
    needs,
    change: (spec, place) => {
      spec.process.args = ["sh", "-c", script];
      change?.(spec, place);
    },
    steps: [{ call: ["run", "ID"], out, ...ends }],
  };
}

/** A case of one `run` that must be refused with a sentence, before anything runs. */
export function refused(
  name: string,
  change: NonNullable<Case["change"]>,
  err: RegExp,
  options: Pick<Case, "prepare" | "except"> = {},
): Case {
  return {
    name,
    ...options,
    change: (spec, place) => {
      spec.process.args = ["touch", "/ran"];
      change(spec, place);
    },
    steps: [{ call: ["run", "ID"], code: 1, err, out: "" }, { host: ({ rootfs }) => mustNotExist(`${rootfs}/ran`) }],
  };
}

/** A case of a container that sleeps, created and started. */
export function alive(
  name: string,
  steps: readonly Step[],
  options: Pick<Case, "change" | "except" | "needs" | "prepare"> = {},
): Case {
  const { change, ...rest } = options;
  return {
    name,
    ...rest,
    change: (spec, place) => {
      spec.process.args = ["sleep", "100"];
      change?.(spec, place);
    },
    steps: [{ call: ["run", "-d", "ID"] }, ...steps, { call: ["delete", "--force", "ID"] }],
  };
}

/** Throws where the path exists. */
export function mustNotExist(path: string): void {
  try {
    Deno.lstatSync(path);
  } catch {
    return;
  }
  throw new Error(`${path} exists`);
}
