/**
 * The command line of `barge run`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { parsePlatform } from "../../daemon/sources/platform.ts";
import { renderHelp } from "../flag_help.ts";
import { type FlagTable, type FlagValues, parseFlags } from "../flags.ts";
import { parseCapability } from "./capabilities.ts";
import { parseCpuList, parseCpus } from "./values/cpu.ts";
import { parseVariable } from "./values/environment.ts";
import { parseMount } from "./values/mount_flag.ts";
import { parseContainerName, parseHostname, parseUserText, parseWorkingDirectory } from "./values/names.ts";
import { wholeNumber } from "./values/number.ts";
import { parseSecurityOption } from "./values/security_option.ts";
import { parseSize } from "./values/size.ts";
import { parseSysctl } from "./values/sysctl.ts";
import { parseTmpfs } from "./values/tmpfs_flag.ts";
import { parseUlimit } from "./values/ulimit.ts";
import type { MountRequest } from "./values/volume.ts";
import { parseVolume } from "./values/volume_flag.ts";

/** Every flag of `barge run`. Units: bytes for sizes, microseconds a period for `cpus`. */
export const runFlags = {
  interactive: { kind: "boolean", short: "i", help: "Pass standard input on" },
  tty: { kind: "boolean", short: "t", help: "Give the program a terminal" },
  name: { kind: "value", value: "NAME", parse: parseContainerName, help: "Name of the container" },
  keep: { kind: "boolean", help: "Keep the container and its file system when the program ends" },
  rm: { kind: "boolean", default: true, help: "Remove both; --rm=false is --keep" },
  rootfs: { kind: "boolean", help: "IMAGE is a directory with a root file system" },
  quiet: { kind: "boolean", short: "q", help: "Show no progress" },

  entrypoint: { kind: "value", value: "PROGRAM", help: "Run this instead of the image's entry point" },
  env: { kind: "list", short: "e", value: "NAME[=VALUE]", parse: parseVariable, help: "Set a variable, or pass it on" },
  envFile: { kind: "list", value: "FILE", help: "Set the variables of a file" },
  workdir: {
    kind: "value",
    short: "w",
    value: "DIR",
    parse: parseWorkingDirectory,
    help: "Working directory in the container",
  },
  user: { kind: "value", short: "u", value: "USER[:GROUP]", parse: parseUserText, help: "Run as this user" },

  volume: { kind: "list", short: "v", value: "SRC:DST[:OPTS]", parse: parseVolume, help: "Share a directory or file" },
  mount: { kind: "list", value: "KEY=VALUE,...", parse: parseMount, help: "Mount with type=bind or type=tmpfs" },
  tmpfs: { kind: "list", value: "DST[:OPTS]", parse: parseTmpfs, help: "Mount a memory file system" },
  shmSize: { kind: "value", value: "SIZE", parse: parseShmSize, default: "64m", help: "Size of /dev/shm" },
  readOnly: { kind: "boolean", help: "Make the root file system read-only" },

  hostname: { kind: "value", value: "NAME", parse: parseHostname, help: "Host name (default: start of the id)" },
  network: {
    kind: "choice",
    choices: ["host", "none"],
    // The first version has no bridge. Between the two the isolated one is the default: it is what a container
    // promises, and whoever needs the network says so.
    default: "none",
    aliases: ["net"],
    help: "Share the host's network, or have only a loopback",
  },
  sysctl: { kind: "list", value: "NAME=VALUE", parse: parseSysctl, help: "Set a kernel parameter of the container" },

  memory: { kind: "value", short: "m", value: "SIZE", parse: parseMemory, help: "Limit memory" },
  cpus: { kind: "value", value: "NUMBER", parse: parseCpus, help: "Limit processor time, as 1.5" },
  cpuShares: {
    kind: "value",
    short: "c",
    value: "WEIGHT",
    parse: wholeNumber(0, 262_144, "0 for the default, or a weight from 2 to 262144, of which 1024 is usual"),
    help: "Weight against other containers",
  },
  cpusetCpus: { kind: "value", value: "LIST", parse: parseCpuList, help: "Run on these processors, as 0-2,5" },
  pidsLimit: {
    kind: "value",
    value: "NUMBER",
    parse: wholeNumber(-1, 4_194_304, "a number of processes up to 4194304, or -1 for no limit"),
    help: "Limit the number of processes",
  },
  ulimit: { kind: "list", value: "TYPE=SOFT[:HARD]", parse: parseUlimit, help: "Set a resource limit" },

  capAdd: { kind: "list", value: "NAME", parse: parseCapability, help: "Add a capability, or ALL" },
  capDrop: { kind: "list", value: "NAME", parse: parseCapability, help: "Drop a capability, or ALL" },
  privileged: { kind: "boolean", help: "Give all capabilities and devices, and mask nothing" },
  securityOpt: {
    kind: "list",
    value: "OPTION",
    parse: parseSecurityOption,
    help: "seccomp=FILE, seccomp=unconfined or no-new-privileges",
  },

  platform: { kind: "value", value: "OS/ARCH", parse: parsePlatform, help: "Platform of the image" },
  pull: {
    kind: "choice",
    choices: ["always", "missing", "never"],
    default: "missing",
    help: "When to fetch the image",
  },
  plainHttp: { kind: "boolean", help: "Talk to the registry without TLS" },

  root: { kind: "value", value: "DIR", default: "/var/lib/barge", help: "Directory of images and containers" },
  state: { kind: "value", value: "DIR", default: "/run/barge", help: "Directory of what lives until the next boot" },
  snapshotter: {
    kind: "choice",
    choices: ["overlayfs", "native"],
    default: "overlayfs",
    help: "How layers become a file system",
  },
} as const satisfies FlagTable;

/** The values of {@link runFlags}. */
export type RunFlags = FlagValues<typeof runFlags>;

/** A command line of `barge run` that is right in itself. */
export interface RunCommand {
  readonly flags: RunFlags;
  /** The image's reference; with `--rootfs` a directory. */
  readonly image: string;
  /** What the user wants to run; empty for the image's own command. */
  readonly command: readonly string[];
  /** Whether container and snapshot stay. */
  readonly keep: boolean;
  /** Every mount that the user asks for, the shallowest first; no target twice. */
  readonly mounts: readonly MountRequest[];
  /** A profile's path, `builtin` or `unconfined`. */
  readonly seccomp: string;
  readonly noNewPrivileges: boolean;
}

/** As for docker, 0 is the default; a tmpfs would take it for no limit. */
function parseShmSize(text: string): number {
  return parseSize(text) || 64 << 20;
}

/** The smallest limit with which a container starts; docker's. In bytes. */
const leastMemory = 6 * 1024 * 1024;

function parseMemory(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== 0 && bytes < leastMemory) throw new Failure("InvalidArgument", "want at least 6m, or 0 for no limit");
  return bytes;
}

/** The help text of `barge run`. */
export function runHelp(): string {
  return renderHelp({
    usage: "barge run [flags] IMAGE [COMMAND] [ARG...]",
    description: "Run a program in a container, without a daemon.\n\n" +
      "IMAGE is a reference (debian:12, registry.example/app@sha256:...), hello, oci:DIR[:TAG] or tar:FILE.\n" +
      "The exit code is the program's, 128+N if signal N ended it, 125 if barge failed, 126 if the\n" +
      "program cannot be run and 127 if it is not there.",
  }, runFlags);
}

/** Reads the arguments after `barge run`; `help` where they ask for it. Throws `InvalidArgument` in one sentence. */
export function parseRun(args: readonly string[]): RunCommand | "help" {
  const { flags, args: positionals, given, help } = parseFlags(runFlags, args, { interspersed: false });
  if (help) return "help";
  const [image, ...command] = positionals;
  if (image === undefined || image === "") {
    throw new Failure("InvalidArgument", "barge run needs an image: barge run [flags] IMAGE [COMMAND] [ARG...]");
  }
  if (flags.keep && given.has("rm") && flags.rm) {
    throw new Failure("InvalidArgument", "--keep and --rm contradict each other: leave one of them out");
  }
  if (flags.rootfs && given.has("platform")) {
    throw new Failure("InvalidArgument", "--platform chooses among an image's platforms: leave it out with --rootfs");
  }
  const hostSetting = flags.sysctl.find(([name]) => /^net[./]/.test(name));
  if (flags.network === "host" && hostSetting !== undefined) {
    const what = `--sysctl ${hostSetting[0]} would change the host's network`;
    throw new Failure("InvalidArgument", `${what}: leave it out, or use --network none`);
  }
  const seccomp = flags.securityOpt.findLast((option) => option.kind === "seccomp");
  const noNewPrivileges = flags.securityOpt.findLast((option) => option.kind === "no-new-privileges");
  return {
    flags,
    image,
    command,
    keep: flags.keep || !flags.rm,
    mounts: orderMounts([...flags.volume, ...flags.mount, ...flags.tmpfs]),
    seccomp: seccomp?.profile ?? (flags.privileged ? "unconfined" : "builtin"),
    noNewPrivileges: noNewPrivileges?.on ?? false,
  };
}

function orderMounts(mounts: readonly MountRequest[]): MountRequest[] {
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) {
      throw new Failure("InvalidArgument", `two mounts have the target ${target}: leave one of them out`);
    }
    targets.add(target);
  }
  const depth = ({ target }: MountRequest) => target.split("/").length;
  return mounts.toSorted((a, b) => depth(a) - depth(b));
}
