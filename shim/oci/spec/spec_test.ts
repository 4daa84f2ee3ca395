import { deepStrictEqual as equal, ok, throws } from "node:assert/strict";
import { isFailure } from "../../../api/errors.ts";
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { defaultSpec } from "./default_spec.ts";
import { parseProcess, parseResources, parseSpec } from "./parse.ts";

type Change = (spec: Spec) => void;

/** The default spec, changed and through JSON. */
function text(change: Change = () => {}): string {
  const spec = defaultSpec(2);
  change(spec);
  return JSON.stringify(spec);
}

function refusal(source: string): string {
  try {
    parseSpec(source);
  } catch (error) {
    ok(isFailure(error, "InvalidArgument"), String(error));
    return error.message;
  }
  throw new Error("it was accepted");
}

Deno.test("parseSpec() takes the default spec as it is", () => {
  const spec = parseSpec(text());
  equal(spec, defaultSpec(2));
});

Deno.test("parseSpec() treats null as absent and ignores what it does not know", () => {
  const spec = parseSpec(
    '{"ociVersion":"1.0.0","root":{"path":"r","what":1},"hooks":null,"linux":{"seccomp":null},"x":[]}',
  );
  equal(spec, { ociVersion: "1.0.0", root: { path: "r", what: 1 }, linux: {}, x: [] });
});

Deno.test("parseSpec() fills in root as the user", () => {
  const spec = parseSpec(
    '{"ociVersion":"1.0.0","root":{"path":"r"},"process":{"cwd":"/","user":{"additionalGids":[5]}}}',
  );
  equal(spec.process?.user, { uid: 0, gid: 0, additionalGids: [5] });
  equal(parseProcess('{"cwd":"/"}').user, { uid: 0, gid: 0 });
});

Deno.test("parseSpec() keeps all 64 bits of seccomp values, and only there", () => {
  const args = '[{"index":0,"value":18446744073709551615,"valueTwo":9007199254740993,"op":"SCMP_CMP_EQ"},' +
    '{"index":1,"value":7,"op":"SCMP_CMP_EQ"}]';
  const spec = parseSpec(
    `{"ociVersion":"1.2.0","root":{"path":"r"},"process":{"cwd":"/","rlimits":[{"type":"RLIMIT_CORE",` +
      `"soft":18446744073709551615,"hard":18446744073709551615}]},"linux":{"seccomp":{"defaultAction":"A",` +
      `"syscalls":[{"names":["read"],"action":"B","args":${args}}]}}}`,
  );
  const [first, second] = spec.linux?.seccomp?.syscalls?.[0]?.args ?? [];
  equal([first?.value, first?.valueTwo, second?.value], [2n ** 64n - 1n, 9007199254740993n, 7]);
  equal(spec.process?.rlimits?.[0]?.soft, 2 ** 64);
});

Deno.test("parseSpec() names the property of a wrong kind", () => {
  const cases: [source: string, message: string][] = [
    ["{", "config.json is not valid JSON"],
    ["[]", "the spec: want an object, not a list"],
    ["{}", "ociVersion: this property is required"],
    ['{"ociVersion":1}', "ociVersion: want a string, not 1"],
    ['{"ociVersion":"1.0.0","process":{"cwd":"/","args":"sh"}}', 'process.args: want a list, not "sh"'],
    ['{"ociVersion":"1.0.0","process":{"cwd":"/","env":["A=1",2]}}', "process.env[1]: want a string, not 2"],
    ['{"ociVersion":"1.0.0","process":{"cwd":"/","user":{"uid":-1}}}', "process.user.uid: want a whole number from 0"],
    ['{"ociVersion":"1.0.0","process":{}}', "process.cwd: this property is required"],
    ['{"ociVersion":"1.0.0","mounts":[{"source":"a"}]}', "mounts[0].destination: this property is required"],
    ['{"ociVersion":"1.0.0","hostname":"a\\u0000b"}', "hostname: want a string without NUL bytes"],
    ['{"ociVersion":"1.0.0","linux":{"namespaces":[{"type":"net"}]}}', "linux.namespaces[0].type: want pid, network"],
    ['{"ociVersion":"1.0.0","annotations":{"a.b":1}}', 'annotations["a.b"]: want a string, not 1'],
  ];
  for (const [source, message] of cases) ok(refusal(source).startsWith(message), refusal(source));
});

Deno.test("parseSpec() names the property that contradicts another one", () => {
  const without = (type: string): Change => (spec) => {
    spec.linux!.namespaces = spec.linux!.namespaces!.filter((namespace) => namespace.type !== type);
  };
  const cases: [change: Change, message: string][] = [
    [(spec) => spec.ociVersion = "2.0.0", "ociVersion: version"],
    [(spec) => spec.ociVersion = "1.0", "ociVersion: want a semantic version"],
    [(spec) => delete spec.root, "root: this property is required"],
    [without("uts"), "hostname: the host's own would change"],
    [without("mount"), "linux.maskedPaths: unable to restrict sys entries without a private MNT namespace"],
    [(spec) => spec.process!.cwd = "tmp", 'process.cwd: want an absolute path, not "tmp"'],
    [(spec) => spec.process!.args = [], "process.args: want at least one"],
    [(spec) => spec.process!.env = ["=x"], "process.env[0]: want NAME=VALUE"],
    [
      (spec) => spec.process!.rlimits!.push(spec.process!.rlimits![0]!),
      "process.rlimits[1].type: RLIMIT_NOFILE is there",
    ],
    [
      (spec) => spec.process!.rlimits![0]!.type = "RLIMIT_TEST",
      'process.rlimits[0].type: unknown resource limit "RLIMIT_T',
    ],
    [(spec) => spec.process!.rlimits![0]!.soft = 2000, "process.rlimits[0].soft: want at most the hard limit 1024"],
    [(spec) => spec.linux!.namespaces!.push({ type: "pid" }), "linux.namespaces[6].type: pid is there twice"],
    [(spec) => spec.linux!.namespaces![0]!.path = "proc/1/ns/pid", "linux.namespaces[0].path: want an absolute path"],
    [(spec) => spec.linux!.namespaces!.push({ type: "user" }), "linux.uidMappings: a new user namespace"],
    [(spec) => spec.linux!.gidMappings = [{ containerID: 0, hostID: 0, size: 1 }], "linux.uidMappings: ids are mapped"],
    [(spec) => spec.linux!.timeOffsets = { monotonic: { secs: 1 } }, "linux.timeOffsets: offsets need a new time"],
    [
      (spec) => spec.linux!.sysctl = { "kernel.panic": "1" },
      'linux.sysctl["kernel.panic"]: it belongs to no namespace',
    ],
    [(spec) => spec.linux!.sysctl = { "net/../kernel/panic": "1" }, 'linux.sysctl["net/../kernel/panic"]: want a name'],
    [
      (spec) => spec.linux!.sysctl = { "user.max_mnt_namespaces": "1" },
      'linux.sysctl["user.max_mnt_namespaces"]: the host',
    ],
    [
      (spec) => spec.linux!.devices = [{ type: "c", path: "/dev/x", major: 1 }],
      "linux.devices[0].minor: want a device",
    ],
    [
      (spec) => spec.linux!.resources!.devices![0]!.access = "",
      "linux.resources.devices[0].access: device access cannot be empty",
    ],
    [
      (spec) => spec.linux!.resources!.memory = { limit: 2, swap: 1 },
      "linux.resources.memory.swap: it counts memory too",
    ],
    [(spec) => spec.linux!.resources!.memory = { swap: 1 }, "linux.resources.memory.swap: want memory.limit"],
    [(spec) => spec.linux!.resources!.unified = { "../x": "1" }, 'linux.resources.unified["../x"]: want the name'],
  ];
  for (const [change, message] of cases) {
    ok(refusal(text(change)).startsWith(message), `${refusal(text(change))} | ${message}`);
  }
});

Deno.test("parseSpec() accepts parameters of the container's own namespaces", () => {
  const sysctl = { "net.ipv4.ip_forward": "1", "net/ipv4/conf/eth0.1/arp_filter": "1", "kernel.sem": "1 2 3 4" };
  parseSpec(text((spec) => spec.linux!.sysctl = { ...sysctl, "fs.mqueue.msg_max": "9", "kernel.domainname": "x" }));
});

Deno.test("parseResources() reads limits as update sends them", () => {
  equal(parseResources('{"memory":{"limit":1,"swap":-1},"pids":null}'), { memory: { limit: 1, swap: -1 } });
  throws(() => parseResources('{"cpu":{"shares":-1}}'), /linux\.resources\.cpu\.shares: want a whole number/);
});

Deno.test("parseSpec() reads the class of cache and memory bandwidth", () => {
  const intelRdt = { closID: "gold", schemata: ["L3:0=f"], enableMonitoring: true };
  equal(parseSpec(text((spec) => spec.linux!.intelRdt = intelRdt)).linux?.intelRdt, intelRdt);
  const wrong = text().replace('"linux":{', '"linux":{"intelRdt":{"schemata":"L3:0=f"},');
  ok(refusal(wrong).startsWith("linux.intelRdt.schemata: "), refusal(wrong));
});

Deno.test("parseSpec() takes dockerd's zeros and empty values", () => {
  parseSpec(text((spec) => {
    spec.hooks = { prestart: [] };
    spec.process!.apparmorProfile = "";
    spec.linux!.rootfsPropagation = "rslave";
    spec.linux!.uidMappings = [];
    spec.linux!.resources!.blockIO = { weight: 0, throttleReadBpsDevice: [] };
    spec.linux!.resources!.network = { classID: 0, priorities: [] };
  }));
});

async function runcSpec(): Promise<Spec | undefined> {
  const bundle = await Deno.makeTempDir();
  try {
    await new Deno.Command("runc", { args: ["spec", "--bundle", bundle] }).output();
    return JSON.parse(await Deno.readTextFile(`${bundle}/config.json`));
  } catch {
    return undefined;
  } finally {
    await Deno.remove(bundle, { recursive: true });
  }
}

const peer = await runcSpec();

Deno.test({
  name: `defaultSpec() is what runc spec writes${peer === undefined ? " (skipped: runc is not installed)" : ""}`,
  ignore: peer === undefined,
}, () => {
  const hasCgroup = peer!.linux?.namespaces?.some(({ type }) => type === "cgroup");
  // Versions differ: the installed one may have another version, and ambient capabilities (before 1.2).
  delete peer!.process?.capabilities?.ambient;
  equal({ ...peer!, ociVersion: "" }, { ...defaultSpec(hasCgroup ? 2 : 1), ociVersion: "" });
});
