/**
 * Specs that are wrong: a sentence, runc's exit code, nothing run and nothing left.
 *
 * @module
 */
import { type Case, type FullSpec, mustNotExist, type Place, refused } from "../case.ts";

/** A whole text of a config.json that must be refused. */
const text = (
  name: string,
  config: (spec: FullSpec, place: Place) => string | Uint8Array,
  err: RegExp,
  except?: Case["except"],
): Case => ({
  name,
  config,
  except,
  steps: [
    { call: ["run", "ID"], code: 1, err, out: "" },
    { call: ["create", "ID"], code: 1, err },
    { host: ({ rootfs }) => mustNotExist(`${rootfs}/ran`) },
  ],
});

/** The same spec with a property set to a value of a wrong kind, by its path. */
const kind = (path: string, value: unknown): Case =>
  text(`${path} as ${JSON.stringify(value).slice(0, 30)} is refused`, (spec) => {
    spec.process.args = ["touch", "/ran"];
    const parts = path.split(".");
    const last = parts.pop()!;
    // Walks through a spec by names that the cases know.
    let place = spec as unknown as Record<string, unknown>;
    for (const part of parts) place = (place[part] ??= {}) as Record<string, unknown>;
    place[last] = value;
    return JSON.stringify(spec);
  }, new RegExp(path.split(".").at(-1)!.replace(/s$/, ""), "i"));

/** A spec that is odd and must work all the same. */
const works = (
  name: string,
  config: (spec: FullSpec, place: Place) => string | Uint8Array,
  except?: Case["except"],
): Case => ({
  name,
  config: (spec, place) => {
    spec.process.args = ["echo", "works"];
    return config(spec, place);
  },
  except,
  steps: [{ call: ["run", "ID"], out: "works" }],
});

/** Nested so deep that a parser which recurses would overflow its stack. */
const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

/** Cases of bad input. */
export const badCases: readonly Case[] = [
  text(
    "a config.json that ends early is refused with the place",
    (spec) => JSON.stringify(spec).slice(0, 100),
    /JSON|unexpected (EOF|end)/i,
  ),
  text("an empty config.json is refused", () => "", /JSON|EOF/i),
  text("a config.json that is a list is refused", () => "[]", /object|array|list/i),
  text("a config.json that is null is refused", () => "null", /./, {
    runc: "runc takes null for an empty spec and dies of it",
  }),
  text("a config.json that is a number is refused", () => "1", /object|number/i),
  text("an empty object is refused", () => "{}", /./, {}),
  text("a config.json of zeros is refused", () => new Uint8Array(1000), /JSON|invalid character/i),
  text(
    "a config.json that is no UTF-8 is refused",
    () => new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]),
    /JSON|invalid character/i,
  ),
  text(
    "a config.json with a comma too many is refused",
    (spec) => JSON.stringify(spec).replace("{", "{,"),
    /JSON|invalid character/i,
  ),
  text(
    "a config.json with something behind its end is refused",
    (spec) => `${JSON.stringify(spec)} x`,
    /JSON|invalid character/i,
    {
      runc: "runc reads the first value and no further",
    },
  ),
  text(
    "a config.json that is very deep is refused",
    () => `{"ociVersion":"1.0.2","annotations":${deep(200_000)}}`,
    /./,
  ),
  works(
    "unknown properties are passed over",
    (spec) =>
      JSON.stringify({
        ...spec,
        unknown: { deep: [1, "two"] },
        process: { ...spec.process, other: true },
        linux: { ...spec.linux, more: null },
      }),
  ),
  works(
    "properties of other systems are passed over",
    (spec) =>
      JSON.stringify({
        ...spec,
        windows: { layerFolders: ["x"] },
        solaris: { milestone: "x" },
        vm: { kernel: { path: "x" } },
      }),
  ),
  works("a config.json of 10 MB works", (spec) => {
    spec.annotations = Object.fromEntries(
      Array.from({ length: 1000 }, (_, index) => [`key-${index}`, "x".repeat(10_000)]),
    );
    return JSON.stringify(spec);
  }),
  works(
    "properties that are null are as if they were not there",
    (spec) =>
      JSON.stringify({
        ...spec,
        hooks: null,
        annotations: null,
        domainname: null,
        linux: { ...spec.linux, sysctl: null, seccomp: null, devices: null },
      }),
  ),
  works("white space does not matter", (spec) => `\n\t ${JSON.stringify(spec, null, "\t\t")} \n\n`),
  works("the largest numbers are taken", (spec) => {
    spec.process.rlimits = [];
    return JSON.stringify(spec).replace(
      '"rlimits":[]',
      '"rlimits":[{"type":"RLIMIT_CORE","soft":18446744073709551615,"hard":18446744073709551615}]',
    );
  }),
  works("an unknown system call of a filter is passed over", (spec) => {
    spec.linux.seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["no_such_call"], action: "SCMP_ACT_ERRNO" }],
    };
    return JSON.stringify(spec);
  }),
  kind("ociVersion", 1),
  kind("process", "sh"),
  kind("process.args", "sh"),
  kind("process.env", { A: "1" }),
  kind("process.cwd", 5),
  kind("process.user.uid", "root"),
  kind("process.user.uid", -1),
  kind("process.user.uid", 1.5),
  kind("process.user.uid", 2 ** 32),
  kind("process.user.additionalGids", [-1]),
  kind("process.terminal", "yes"),
  kind("process.capabilities", ["CAP_KILL"]),
  kind("process.noNewPrivileges", "no"),
  kind("process.rlimits", {}),
  kind("process.oomScoreAdj", "high"),
  kind("root", "rootfs"),
  kind("root.readonly", 1),
  kind("hostname", 7),
  kind("mounts", {}),
  kind("annotations", { key: 1 }),
  kind("linux.namespaces", "all"),
  kind("linux.maskedPaths", "/proc"),
  kind("linux.resources.memory.limit", "64M"),
  kind("linux.resources.pids.limit", 1.5),
  kind("linux.sysctl", []),
  kind("linux.seccomp", []),
  kind("linux.cgroupsPath", {}),
  kind("hooks", []),
  refused("no version is refused", (spec) => spec.ociVersion = "", /version/i, {
    except: { runc: "runc 1.1 does not look at it" },
  }),
  refused("a version that is none is refused", (spec) => spec.ociVersion = "latest", /version/i, {
    except: { runc: "runc 1.1 does not look at it" },
  }),
  refused("a version that is not known is refused", (spec) => spec.ociVersion = "2.0.0", /version/i, {
    except: { runc: "runc 1.1 does not look at it" },
  }),
  refused("no process is refused", (spec) => {
    // The property is optional in the specification, which lets such a container be created and never started.
    delete (spec as Partial<FullSpec>).process;
  }, /process/i),
  refused("no arguments are refused", (spec) => spec.process.args = [], /args/i),
  refused("missing arguments are refused", (spec) => delete spec.process.args, /args/i),
  refused(
    "an empty argument is no command",
    (spec) => spec.process.args = [""],
    /no such file|executable file not found|args/i,
  ),
  refused("a root that does not exist is refused", (spec) => spec.root.path = "nowhere", /nowhere/),
  refused("a root that is a file is refused", (spec) => spec.root.path = "config.json", /not a directory|config\.json/),
  refused("a root that is a link is refused", (spec) => spec.root.path = "link", /symlink|symbolic|link/i, {
    prepare: ({ directory }) => Deno.symlinkSync("rootfs", `${directory}/link`),
  }),
  refused("a root that is empty is refused", (spec) => spec.root.path = "", /root/i, {
    except: { runc: "runc takes the bundle for it" },
  }),
  refused(
    "NUL in an argument is refused",
    (spec) => spec.process.args = ["touch", "/ran\0"],
    /NUL|null|invalid|\\x00/i,
  ),
  refused(
    "NUL in the environment is refused",
    (spec) => spec.process.env = ["PATH=/bin", "A=\0"],
    /NUL|null|nul byte|invalid|\\x00/i,
  ),
  refused("NUL in the working directory is refused", (spec) => spec.process.cwd = "/\0", /NUL|null|invalid|\\x00/i),
  refused("NUL in a host name is refused", (spec) => spec.hostname = "a\0b", /NUL|null|invalid|\\x00/i, {
    except: { runc: "runc 1.1 sets it" },
  }),
  refused("NUL in a mount's destination is refused", (spec) => {
    spec.mounts.push({ destination: "/m\0", type: "tmpfs", source: "tmpfs" });
  }, /NUL|null|invalid|\\x00/i),
  refused(
    "NUL in a path that is masked is refused",
    (spec) => spec.linux.maskedPaths = ["/\0"],
    /NUL|null|invalid|\\x00/i,
  ),
  refused(
    "a host name that is too long is refused",
    (spec) => spec.hostname = "x".repeat(100),
    /hostname|invalid argument|host name/i,
  ),
  refused("a variable without a name is refused", (spec) => spec.process.env = ["PATH=/bin", "=x"], /env|=x/i, {
    except: { runc: "runc 1.1 passes it on" },
  }),
  refused(
    "a cgroup that cannot be made is refused",
    (spec, { id }) => spec.linux.cgroupsPath = `/${id}\nnext`,
    /invalid argument|names no cgroup/i,
  ),
  refused(
    "oom_score_adj out of its range is refused",
    (spec) => spec.process.oomScoreAdj = 2000,
    /oom|invalid argument/i,
  ),
  refused(
    "a uid that the kernel keeps for itself is refused",
    (spec) => spec.process.user.uid = 2 ** 32 - 1,
    /uid|setuid|invalid|setresuid/i,
  ),
  refused(
    "a device without a path is refused",
    (spec) => {
      spec.linux.devices = [{ type: "c", path: "", major: 1, minor: 3 }];
    },
    /path|device|directory|exists/i,
    { except: { runc: "runc makes nothing of it" } },
  ),
  refused("a device of an unknown type is refused", (spec) => {
    // A type that the specification does not have.
    spec.linux.devices = [{ type: "x" as "c", path: "/dev/x", major: 1, minor: 3 }];
  }, /type|"x"/i),
  {
    name: "a bundle that does not exist is refused",
    steps: [
      { call: ["create", "--bundle", "/no/such/bundle", "ID"], code: 1, err: /\/no\/such\/bundle|no such file/ },
      { until: "gone" },
    ],
  },
  {
    name: "a bundle without config.json is refused",
    steps: [
      { host: ({ directory }) => Deno.removeSync(`${directory}/config.json`) },
      { call: ["create", "ID"], code: 1, err: /config\.json/ },
      { until: "gone" },
    ],
  },
  {
    name: "a config.json that is a directory is refused",
    steps: [
      {
        host: ({ directory }) => {
          Deno.removeSync(`${directory}/config.json`);
          Deno.mkdirSync(`${directory}/config.json`);
        },
      },
      { call: ["create", "ID"], code: 1, err: /directory/ },
      { until: "gone" },
    ],
  },
  {
    name: "a pid file that cannot be written is an error, and leaves nothing",
    change: (spec) => spec.process.args = ["sleep", "100"],
    steps: [{ call: ["create", "--pid-file", "/no/such/directory/pid", "ID"], code: 1, err: /no such file/i }, {
      until: "gone",
    }],
  },
  {
    name: "a console socket that nobody listens on is an error, and leaves nothing",
    change: (spec) => {
      spec.process.terminal = true;
      spec.process.args = ["true"];
    },
    steps: [{ call: ["create", "--console-socket", "/no/such/socket", "ID"], code: 1, err: /no such file|connect/i }, {
      until: "gone",
    }],
  },
  {
    name: "a terminal without a console socket is refused where the caller does not stay",
    change: (spec) => spec.process.terminal = true,
    steps: [{
      call: ["create", "ID"],
      code: 1,
      err: /cannot allocate tty if runc will detach without setting console socket/,
    }, { until: "gone" }],
  },
  {
    name: "a console socket without a terminal is refused",
    change: (spec) => spec.process.args = ["true"],
    steps: [{ call: ["create", "--console-socket", "DIR/socket", "ID"], code: 1, err: /cannot use console socket/ }, {
      until: "gone",
    }],
  },
  {
    name: "a root of states that is a file is refused",
    change: (spec) => spec.process.args = ["true"],
    steps: [{
      call: ["--root", "DIR/config.json", "run", "--bundle", "DIR", "ID"],
      code: 1,
      err: /not a directory|exists/i,
    }],
  },
];
