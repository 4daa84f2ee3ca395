import { deepStrictEqual as equal, ok, throws } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import type { ImageRunConfig } from "../../api/oci/image_spec.ts";
import { capabilityNames } from "../../shim/oci/plan/capabilities.ts";
import { capabilitiesOfMask, defaultCapabilities } from "./capabilities.ts";
import { parseRun } from "./flags.ts";
import { buildSpec, type HostFacts, type RunSpec } from "./spec.ts";
import { resolveUser } from "./user.ts";
import { resolveEnvironment } from "./values/environment.ts";

const host: HostFacts = {
  arch: "x86_64",
  kernel: "6.1.0-13-amd64",
  hostname: "metal",
  capabilities: capabilityNames.filter((name) => name !== "CAP_SYS_RESOURCE"),
  cgroupVersion: 1,
  swapLimit: true,
  devices: [{ type: "c", path: "/dev/kvm", major: 10, minor: 232 }],
  hosts: "10.0.0.1 metal\n",
  resolvConf: "nameserver 10.0.0.2\n",
  selinux: false,
};

function build(line: string, image: ImageRunConfig = { Cmd: ["sh"] }, facts: Partial<HostFacts> = {}): RunSpec {
  const command = parseRun(line.split(" ").filter((word) => word !== ""));
  if (command === "help") throw new Error("help");
  return buildSpec({
    id: "0123456789abcdef0123",
    command,
    image,
    user: resolveUser(command.flags.user ?? image.User ?? "", { passwd: "", group: "" }),
    environment: resolveEnvironment([], command.flags.env, () => undefined),
    workingDirectory: "/home/me",
    host: { ...host, ...facts },
    rootPath: "rootfs",
    filesDirectory: "/run/barge/c",
    profile: { defaultAction: "SCMP_ACT_ALLOW" },
  });
}

const args = (line: string, image: ImageRunConfig) => build(line, image).spec.process?.args;

Deno.test("buildSpec() joins entry point and command by docker's rules", () => {
  const image = { Entrypoint: ["/entry", "-x"], Cmd: ["serve"] };
  equal(args("i", image), ["/entry", "-x", "serve"]);
  equal(args("i other", image), ["/entry", "-x", "other"]);
  equal(args("--entrypoint /bin/sh i", image), ["/bin/sh"]);
  equal(args("--entrypoint /bin/sh i -c x", image), ["/bin/sh", "-c", "x"]);
  equal(args("--entrypoint= i ls", image), ["ls"]);
  throws(() => args("--entrypoint= i", image), /no command specified: i has none of its own/);
  throws(() => args("i", { Cmd: null, Entrypoint: null }), (error) => isFailure(error, "InvalidArgument"));
});

Deno.test("buildSpec() builds the environment from defaults, image and flags", () => {
  const image = { Cmd: ["sh"], Env: ["PATH=/bin", "LANG=C", "OLD=1", "bad"] };
  equal(build("-t -e LANG=de -e NEW=a=b -e OLD i", image).spec.process?.env, [
    "PATH=/bin",
    "HOSTNAME=0123456789ab",
    "TERM=xterm",
    "LANG=de",
    "NEW=a=b",
  ]);
});

Deno.test("buildSpec() gives root docker's capabilities, and others only the bounding set", () => {
  const root = build("i").spec.process?.capabilities;
  equal(new Set(root?.effective), new Set(defaultCapabilities));
  equal([root?.permitted, root?.bounding], [root?.effective, root?.effective]);
  equal([root?.inheritable, root?.ambient], [undefined, undefined]);
  equal(Object.keys(build("-u 5 i").spec.process?.capabilities ?? {}), ["bounding"]);
});

Deno.test("buildSpec() adds and drops capabilities, but none that barge lacks", () => {
  const chosen = (line: string) => build(line).spec.process?.capabilities?.bounding;
  equal(chosen("--cap-drop ALL --cap-add net_raw i"), ["CAP_NET_RAW"]);
  equal(chosen("--cap-add ALL --cap-drop kill i"), host.capabilities.filter((name) => name !== "CAP_KILL"));
  equal(chosen("--privileged i"), host.capabilities);
  ok(
    !build("i", undefined, { capabilities: ["CAP_KILL"] }).spec.process?.capabilities?.bounding?.includes("CAP_CHOWN"),
  );
  throws(() => build("--cap-add SYS_RESOURCE i"), /cannot give the container CAP_SYS_RESOURCE/);
});

Deno.test("capabilitiesOfMask() reads the kernel's mask", () => {
  equal(capabilitiesOfMask("0000000000000021"), ["CAP_CHOWN", "CAP_KILL"]);
  equal(capabilitiesOfMask("000001ffffffffff"), capabilityNames);
});

Deno.test("buildSpec() makes a network of its own unless the host's is asked for", () => {
  const own = build("i");
  ok(own.spec.linux?.namespaces?.some(({ type }) => type === "network"));
  equal(own.spec.hostname, "0123456789ab");
  equal(own.spec.linux?.sysctl?.["net.ipv4.ip_unprivileged_port_start"], "0");
  equal(own.files.map(({ text }) => text.includes("10.0.0")), [false, false, false]);
  const shared = build("--network host i");
  ok(!shared.spec.linux?.namespaces?.some(({ type }) => type === "network"));
  equal(shared.spec.hostname, "metal");
  equal(shared.spec.linux?.sysctl, {});
  equal(shared.files.map(({ text }) => text), ["metal\n", host.hosts, host.resolvConf]);
  equal(build("--network host --hostname x i").spec.hostname, "x");
});

Deno.test("buildSpec() gives a user's mount the place of a default one", () => {
  const { spec, sources } = build("-v ./data:/data:ro -v /x:/etc/hosts --tmpfs /dev/shm -v /dev:/host/dev i");
  const at = (path: string) => spec.mounts?.filter(({ destination }) => destination === path);
  equal(at("/data"), [{
    destination: "/data",
    type: "bind",
    source: "/home/me/data",
    options: ["rbind", "rprivate", "ro", "rro"],
  }]);
  equal(at("/etc/hosts")?.map(({ source }) => source), ["/x"]);
  equal(at("/dev/shm")?.map(({ source }) => source), ["tmpfs"]);
  equal(sources, [{ path: "/home/me/data", create: true }, { path: "/x", create: true }, {
    path: "/dev",
    create: true,
  }]);
  const dev = build("-v /dev:/dev i").spec.mounts?.map(({ destination }) => destination);
  equal(dev?.filter((path) => path.startsWith("/dev")), ["/dev"]);
  equal(build("-v /a:/b:rshared i").spec.linux?.rootfsPropagation, "rshared");
  equal(build("-v /a:/b:slave i").spec.linux?.rootfsPropagation, "rslave");
});

Deno.test("buildSpec() binds the generated files from the files directory", () => {
  const { spec, files } = build("i");
  for (const { name, target } of files) {
    ok(spec.mounts?.some(({ destination, source }) => destination === target && source === `/run/barge/c/${name}`));
  }
});

Deno.test("buildSpec() limits resources in the units of the specification", () => {
  equal(build("-m 64m --cpus 1.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 9 i").spec.linux?.resources, {
    devices: build("i").spec.linux?.resources?.devices,
    memory: { limit: 67108864, swap: 134217728 },
    cpu: { quota: 150000, period: 100000, shares: 512, cpus: "0" },
    pids: { limit: 9 },
  });
  equal(build("-m 64m i", undefined, { swapLimit: false }).spec.linux?.resources?.memory, { limit: 67108864 });
  equal(Object.keys(build("-m 0 --cpus 0 --pids-limit -1 i").spec.linux?.resources ?? {}), ["devices"]);
});

Deno.test("buildSpec() opens everything with --privileged, and only then", () => {
  const { linux, mounts, process } = build("--privileged i").spec;
  equal([linux?.seccomp, linux?.maskedPaths, linux?.readonlyPaths], [undefined, [], []]);
  equal(linux?.resources?.devices, [{ allow: true, access: "rwm" }]);
  equal(linux?.devices, [...host.devices]);
  ok(!mounts?.some(({ options }) => options?.includes("ro")));
  equal(process?.noNewPrivileges, false);
  const plain = build("--security-opt no-new-privileges i").spec;
  equal([plain.process?.noNewPrivileges, plain.linux?.devices], [true, undefined]);
  ok(plain.linux?.maskedPaths?.includes("/proc/kcore"));
});

Deno.test("buildSpec() takes the builtin seccomp profile, a given one or none", () => {
  const names = (line: string) => build(line).spec.linux?.seccomp?.syscalls?.flatMap(({ names }) => names) ?? [];
  const always = names("i");
  ok(always.includes("openat") && always.includes("chroot"));
  ok(!always.includes("mount") && !always.includes("bpf") && !always.includes("keyctl"));
  ok(names("--cap-add SYS_ADMIN i").includes("mount"));
  ok(!names("--cap-drop ALL i").includes("chroot"));
  equal(build("--security-opt seccomp=unconfined i").spec.linux?.seccomp, undefined);
  equal(build("--security-opt seccomp=f i").spec.linux?.seccomp, { defaultAction: "SCMP_ACT_ALLOW", syscalls: [] });
  const clone3 = build("i").spec.linux?.seccomp?.syscalls?.filter((rule) => rule.names.includes("clone3"));
  equal(clone3, [{ names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }]);
});

Deno.test("buildSpec() adds a cgroup namespace where cgroups are version 2", () => {
  const has = (cgroupVersion: 1 | 2) =>
    build("i", undefined, { cgroupVersion }).spec.linux?.namespaces?.some(({ type }) => type === "cgroup");
  equal([has(1), has(2)], [false, true]);
});

Deno.test("buildSpec() counts a relative working directory of an image from the root", () => {
  const cwd = (line: string, WorkingDir?: string) =>
    build(line, { Cmd: ["sh"], ...(WorkingDir === undefined ? {} : { WorkingDir }) }).spec.process?.cwd;
  equal([cwd("i"), cwd("i", ""), cwd("i", "app"), cwd("-w /w i", "/app")], ["/", "/", "/app", "/w"]);
  equal([cwd("i", "../app/../b/."), cwd("i", "/missing/../b"), cwd("-w /missing/../b i")], ["/b", "/b", "/b"]);
});

Deno.test("buildSpec() takes an entry point of one empty word for none, as docker does", () => {
  const args = (line: string, Entrypoint: string[]) => build(line, { Entrypoint, Cmd: ["a"] }).spec.process?.args;
  equal([args("i", [""]), args("i b", [""]), args("i", ["", "x"])], [["a"], ["b"], ["", "x", "a"]]);
  equal([args("--entrypoint= i b", ["x"]), args("--entrypoint x i b", [""])], [["b"], ["x", "b"]]);
});

Deno.test("buildSpec() names the image's volumes that nothing is mounted on or above", () => {
  const volumes = (line: string, ...names: string[]) =>
    build(line, { Cmd: ["a"], Volumes: Object.fromEntries(names.map((name) => [name, {}])) }).volumes;
  equal(volumes("i", "/data/deep/", "/data", "relative", "/", "/x/../y"), ["/y", "/data", "/relative", "/data/deep"]);
  equal(volumes("-v /host:/data i", "/data/deep", "/data", "/database", "/dev/shm", "/proc/x"), ["/database"]);
  equal(build("i", { Cmd: ["a"] }).volumes, []);
});

Deno.test("buildSpec() refuses labels for files only where there is SELinux", () => {
  for (const option of ["z", "Z", "ro,z"]) {
    const line = `-v /a:/b:${option} i`;
    equal(build(line).spec.mounts?.at(-1)?.options?.includes("ro"), option === "ro,z");
    throws(() => build(line, undefined, { selinux: true }), /SELinux relabelling is not supported/);
  }
  build("-v /a:/b:cached i", undefined, { selinux: true });
});

Deno.test("buildSpec() gives /dev/shm its default size for 0, and not all memory", () => {
  const size = (line: string) =>
    build(line).spec.mounts?.find(({ destination }) => destination === "/dev/shm")?.options;
  equal(size("--shm-size 0 i"), size("i"));
  ok(size("i")?.includes("size=67108864"));
});
