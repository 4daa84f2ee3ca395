/**
 * What a container of `barge run` is: a pure function from image, flags and host to an OCI spec, with docker's
 * defaults. Nothing here touches the machine; what has to be made first is given back as data.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { ImageRunConfig } from "../../api/oci/image_spec.ts";
import type { Capabilities, Device, DeviceRule, Linux, Process, Resources, Spec } from "../../api/oci/runtime_spec.ts";
import type { Arch } from "../../ffi/arch.ts";
import { specVersion } from "../../shim/oci/spec/version.ts";
import { chooseCapabilities, defaultCapabilities } from "./capabilities.ts";
import { defaultSeccomp } from "./default_seccomp.ts";
import type { RunCommand } from "./flags.ts";
import { type GeneratedFile, generateFiles } from "./generated_files.ts";
import { type BindSource, buildMounts, rootPropagation } from "./mounts.ts";
import { resolveProfile, type SeccompProfile } from "./seccomp_profile.ts";
import type { ResolvedUser } from "./user.ts";
import { cpuPeriodUs } from "./values/cpu.ts";
import { cleanAbsolute } from "./values/target.ts";
import type { EnvironmentChange } from "./values/environment.ts";

/** What the spec must know of the machine. */
export interface HostFacts {
  readonly arch: Arch;
  /** As `uname -r`. */
  readonly kernel: string;
  readonly hostname: string;
  /** The caller's own bounding set, as `CAP_…` names. */
  readonly capabilities: readonly string[];
  /** 2 only where cgroup2 has the controllers; hybrid is 1. */
  readonly cgroupVersion: 1 | 2;
  /** Whether the kernel can limit swap (`memory.memsw.limit_in_bytes`, `memory.swap.max`). */
  readonly swapLimit: boolean;
  /** The host's devices; needed with `--privileged` only. */
  readonly devices: readonly Device[];
  /** Texts of the host's `/etc/hosts` and `/etc/resolv.conf`; needed with `--network host` only. */
  readonly hosts: string;
  readonly resolvConf: string;
  /** Whether SELinux is enabled. */
  readonly selinux: boolean;
}

/** All that a spec follows from. */
export interface SpecInput {
  /** The container's id. */
  readonly id: string;
  readonly command: RunCommand;
  /** The image's defaults; empty for a plain root file system. */
  readonly image: ImageRunConfig;
  readonly user: ResolvedUser;
  readonly environment: EnvironmentChange;
  /** The profile of `--security-opt seccomp=FILE`. */
  readonly profile?: SeccompProfile;
  /** Absolute path of the caller's working directory. */
  readonly workingDirectory: string;
  readonly host: HostFacts;
  /** `root.path` of the spec. */
  readonly rootPath: string;
  /** Absolute path of the directory into which the caller writes {@link RunSpec.files}. */
  readonly filesDirectory: string;
  /** The caller's terminal, in characters. */
  readonly consoleSize?: { readonly height: number; readonly width: number };
}

/** A spec, and what its owner has to do before it can be used. */
export interface RunSpec {
  readonly spec: Spec;
  /** To be written into the files directory. */
  readonly files: readonly GeneratedFile[];
  /** Sources of bind mounts on the host: to be made, or to be missed in time. */
  readonly sources: readonly BindSource[];
  /** Whether the seccomp profile is the built-in one for the default capabilities, whose compiled form is at hand. */
  readonly hasDefaultFilter: boolean;
  /** What ends the program politely: the image's `StopSignal`, else SIGTERM. */
  readonly stopSignal: string;
  /**
   * Directories of the root that are made where they are missing, and can be written with `--read-only`: the image's
   * volumes. They have the container's life; whoever wants more names a directory with `-v`.
   */
  readonly volumes: readonly string[];
}

/** The spec of a run. Throws `InvalidArgument` for no command, `PermissionDenied` for a capability that is not ours. */
export function buildSpec(input: SpecInput): RunSpec {
  const { command, host } = input;
  const hostname = command.flags.hostname ?? (command.flags.network === "host" ? host.hostname : input.id.slice(0, 12));
  const { flags } = command;
  const capabilities = chooseCapabilities(
    { add: flags.capAdd, drop: flags.capDrop, privileged: flags.privileged },
    host.capabilities,
  );
  if (host.selinux && command.mounts.some((mount) => mount.type === "bind" && mount.relabel)) {
    throw new Failure(
      "NotImplemented",
      "SELinux relabelling is not supported: leave the options z and Z of --volume out, and use chcon",
    );
  }
  const files = generateFiles({ network: flags.network, hostname, hosts: host.hosts, resolvConf: host.resolvConf });
  const { mounts, sources } = buildMounts({
    command,
    workingDirectory: input.workingDirectory,
    files: files.map(({ name, target }) => ({ source: `${input.filesDirectory}/${name}`, target })),
  });
  const spec: Spec = {
    ociVersion: specVersion,
    process: buildProcess(input, hostname, capabilities),
    root: { path: input.rootPath, readonly: flags.readOnly },
    hostname,
    mounts,
    linux: buildLinux(input, capabilities),
  };
  const isDefault = capabilities.length === defaultCapabilities.length &&
    capabilities.every((name) => defaultCapabilities.includes(name));
  return {
    spec,
    files,
    sources,
    hasDefaultFilter: command.seccomp === "builtin" && isDefault,
    stopSignal: input.image.StopSignal || "SIGTERM",
    volumes: volumesOf(input.image, mounts.map(({ destination }) => destination)),
  };
}

/** The image's volumes that are not in a mount anyway, the shallowest first. */
function volumesOf({ Volumes = {} }: ImageRunConfig, mounted: readonly string[]): string[] {
  const paths = new Set(Object.keys(Volumes ?? {}).map((path) => cleanAbsolute(path)));
  paths.delete("/");
  return [...paths]
    .filter((path) => !mounted.some((place) => path === place || path.startsWith(`${place}/`)))
    .sort((a, b) => a.length - b.length);
}

function buildProcess(input: SpecInput, hostname: string, capabilities: string[]): Process {
  const { command: { flags, noNewPrivileges }, user, image } = input;
  return {
    terminal: flags.tty,
    ...(flags.tty && input.consoleSize !== undefined ? { consoleSize: { ...input.consoleSize } } : {}),
    user: { uid: user.uid, gid: user.gid, additionalGids: [...user.additionalGids] },
    args: commandLine(input),
    env: environment(input, hostname),
    cwd: flags.workdir ?? cleanAbsolute(image.WorkingDir ?? ""),
    capabilities: capabilitySets(capabilities, user.uid),
    rlimits: flags.ulimit,
    noNewPrivileges,
  };
}

/** Docker's rules: an entry point of the user makes the image's command void; one of an empty word alone is none. */
function commandLine({ command, image }: SpecInput): string[] {
  const own = command.flags.entrypoint;
  const given = own === undefined ? image.Entrypoint ?? [] : [own];
  const entrypoint = given.length === 1 && given[0] === "" ? [] : given;
  const words = command.command.length > 0 || own !== undefined ? command.command : image.Cmd ?? [];
  const args = [...entrypoint, ...words];
  if (args.length === 0) {
    throw new Failure("InvalidArgument", `no command specified: ${command.image} has none of its own, so name one`);
  }
  return args;
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** HOME is the runtime's business, since only it sees the container's passwd. */
function environment({ command, image, environment }: SpecInput, hostname: string): string[] {
  const variables = new Map([["PATH", defaultPath], ["HOSTNAME", hostname]]);
  if (command.flags.tty) variables.set("TERM", "xterm");
  for (const entry of image.Env ?? []) {
    const equals = entry.indexOf("=");
    if (equals > 0) variables.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  for (const name of environment.unset) variables.delete(name);
  for (const [name, value] of environment.set) variables.set(name, value);
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

/** As execve(2) would leave it: only root has effective ones. Inheritable and ambient stay empty (CVE-2022-24769). */
function capabilitySets(names: string[], uid: number): Capabilities {
  return uid === 0 ? { bounding: names, effective: names, permitted: names } : { bounding: names };
}

/** Files that tell of the host or reach into it; docker's list. */
const maskedPaths: readonly string[] = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];
const readonlyPaths: readonly string[] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

function buildLinux(input: SpecInput, capabilities: readonly string[]): Linux {
  const { command, host } = input;
  const { flags } = command;
  const seccomp = chooseSeccomp(input, capabilities);
  const propagation = rootPropagation(command.mounts);
  return {
    namespaces: [
      { type: "mount" },
      { type: "uts" },
      { type: "pid" },
      { type: "ipc" },
      ...(flags.network === "host" ? [] : [{ type: "network" } as const]),
      // On version 1 docker and runc share the host's: its hierarchies are mounted one by one anyway.
      ...(host.cgroupVersion === 2 ? [{ type: "cgroup" } as const] : []),
    ],
    cgroupsPath: `/barge/${input.id}`,
    resources: buildResources(command, host),
    sysctl: {
      // An own network has no ports and no hosts to protect: programs need no rights for low ports and ping.
      ...(flags.network === "host"
        ? {}
        : { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" }),
      ...Object.fromEntries(flags.sysctl),
    },
    ...(flags.privileged ? { devices: [...host.devices] } : {}),
    ...(seccomp === undefined ? {} : { seccomp }),
    ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
    maskedPaths: flags.privileged ? [] : [...maskedPaths],
    readonlyPaths: flags.privileged ? [] : [...readonlyPaths],
  };
}

function chooseSeccomp({ command, host, profile }: SpecInput, capabilities: readonly string[]) {
  if (command.seccomp === "unconfined") return undefined;
  const chosen = command.seccomp === "builtin" ? defaultSeccomp() : profile;
  if (chosen === undefined) throw new TypeError(`the profile ${command.seccomp} was not given`);
  return resolveProfile(chosen, { arch: host.arch, kernel: host.kernel, capabilities });
}

/** Character devices that every container may use: null, zero, full, random, urandom, tty, console. */
const allowedDevices: readonly [major: number, minor: number][] = [[1, 3], [1, 5], [1, 7], [1, 8], [1, 9], [5, 0], [
  5,
  1,
]];

function buildResources({ flags }: RunCommand, host: HostFacts): Resources {
  const devices: DeviceRule[] = flags.privileged ? [{ allow: true, access: "rwm" }] : [
    { allow: false, access: "rwm" },
    ...allowedDevices.map(([major, minor]) => ({ allow: true, type: "c", major, minor, access: "rwm" })),
  ];
  const resources: Resources = { devices };
  if (flags.memory !== undefined && flags.memory > 0) {
    // As much swap as memory, like docker; `swap` counts both.
    resources.memory = { limit: flags.memory, ...(host.swapLimit ? { swap: 2 * flags.memory } : {}) };
  }
  const cpu: Resources["cpu"] = {};
  if (flags.cpus !== undefined && flags.cpus > 0) {
    cpu.quota = flags.cpus;
    cpu.period = cpuPeriodUs;
  }
  if (flags.cpuShares !== undefined && flags.cpuShares > 0) cpu.shares = flags.cpuShares;
  if (flags.cpusetCpus !== undefined) cpu.cpus = flags.cpusetCpus;
  if (Object.keys(cpu).length > 0) resources.cpu = cpu;
  // 0 and -1 are no limit, as for docker.
  if (flags.pidsLimit !== undefined && flags.pidsLimit > 0) resources.pids = { limit: flags.pidsLimit };
  return resources;
}
