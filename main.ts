/**
 * barge: containerd in one executable. This table says which personality a name or first word stands for; each is
 * imported only when it is called.
 *
 * @module
 */

/** A personality: performs its command line and gives the exit code. */
interface Personality {
  main(args: string[]): Promise<number>;
}

/** First word of the command line → personality. */
const personalities: Record<string, () => Promise<Personality>> = {
  run: () => import("./cli/run/run.ts"),
  oci: () => import("./cli/oci/oci.ts"),
  daemon: () => import("./cli/daemon/daemon.ts"),
  shim: () => import("./cli/shim/shim.ts"),
  gc: () => import("./cli/store/gc.ts"),
  why: () => import("./cli/store/why.ts"),
  df: () => import("./cli/store/df.ts"),
  doctor: () => import("./cli/store/doctor.ts"),
  adopt: () => import("./cli/store/adopt.ts"),
  help: () => import("./cli/help.ts"),
  version: () => import("./cli/version.ts"),
};

/** Name of the executable or of a link to it → the words that it stands for. */
const links: Record<string, string[]> = {
  runc: ["oci"],
  containerd: ["daemon"],
  "containerd-shim-ts-v2": ["shim"],
};

/** Flags in the place of a first word. */
const flags: Record<string, string> = { "--version": "version", "-v": "version" };

// The launcher passes its own name on; a compiled executable has it itself.
const argv0 = Deno.env.get("BARGE_ARGV0") ?? Deno.readTextFileSync("/proc/self/cmdline").split("\0")[0];
const called = argv0?.split("/").at(-1) ?? "";
// Whatever runtime a configuration calls barge by, its shim is this one.
const stands = links[called] ?? (called.startsWith("containerd-shim-") ? ["shim"] : []);
const [word, ...args] = [...stands, ...Deno.args];
const load = personalities[flags[word ?? ""] ?? word ?? "help"];
const exitCode = load === undefined
  ? await (await personalities.help!()).main([word!])
  : await (await load()).main(args);
Deno.exit(exitCode);
