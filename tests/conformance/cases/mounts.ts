/**
 * Mounts: every option, destinations, sources, propagation.
 *
 * @module
 */
import type { Mount } from "../../../api/oci/runtime_spec.ts";
import { type Case, inside, type InsideOptions, type Place, refused } from "../case.ts";

/** Shows options of the mount, optional fields, and those of the file system: fields 6, 7… and the last of mountinfo(5). */
const show =
  `awk '$5=="/m" { printf "%s|", $6; for (i = 7; $i != "-"; i++) printf "%s ", $i; print "|" $(i + 3) }' /proc/self/mountinfo`;

const tmpfs = (...options: string[]): Mount => ({ destination: "/m", type: "tmpfs", source: "tmpfs", options });

const bind = ({ directory }: Place, ...options: string[]): Mount => ({
  destination: "/m",
  type: "bind",
  source: `${directory}/source`,
  options,
});

function makeSource({ directory }: Place): void {
  Deno.mkdirSync(`${directory}/source/sub`, { recursive: true });
  Deno.writeTextFileSync(`${directory}/source/file`, "content\n");
}

/** Whether words are among the comma-separated options of a part (0: mount, 2: file system) of what `show` prints. */
const has = (part: 0 | 2, yes: readonly string[], no: readonly string[] = []) => (text: string) => {
  const options = text.trim().split("|")[part]?.split(",") ?? [];
  const wrong = [...yes.filter((one) => !options.includes(one)), ...no.filter((one) => options.includes(one))];
  if (wrong.length > 0) throw new Error(`${wrong.join(", ")}: ${text}`);
};

/** Options of a mount → what the kernel shows (in the part), and what it does not. */
const shown: readonly [options: string[], part: 0 | 2, yes: string[], no?: string[]][] = [
  [["ro"], 0, ["ro"]],
  [["rw"], 0, ["rw"]],
  [["ro", "rw"], 0, ["rw"]],
  [["nosuid"], 0, ["nosuid"]],
  [["nosuid", "suid"], 0, [], ["nosuid"]],
  [["nodev"], 0, ["nodev"]],
  [["nodev", "dev"], 0, [], ["nodev"]],
  [["noexec"], 0, ["noexec"]],
  [["noexec", "exec"], 0, [], ["noexec"]],
  [["noatime"], 0, ["noatime"]],
  [["noatime", "atime"], 0, [], ["noatime"]],
  [["nodiratime"], 0, ["nodiratime"]],
  [["nodiratime", "diratime"], 0, [], ["nodiratime"]],
  [["relatime"], 0, ["relatime"]],
  [["strictatime"], 0, [], ["relatime", "noatime"]],
  [["nosuid", "nodev", "noexec", "ro"], 0, ["nosuid", "nodev", "noexec", "ro"]],
];

/** Options of the whole file system, which bind mounts cannot have. */
const shownOfFileSystem: readonly [options: string[], part: 0 | 2, yes: string[], no?: string[]][] = [
  [["sync"], 2, ["sync"]],
  [["sync", "async"], 2, [], ["sync"]],
  [["dirsync"], 2, ["dirsync"]],
  [["size=64k"], 2, ["size=64k"]],
  [["size=64k", "mode=750"], 2, ["mode=750"]],
  [["nr_inodes=100"], 2, ["nr_inodes=100"]],
  [["uid=5", "gid=6"], 2, ["uid=5", "gid=6"]],
];

/** Options that the kernel takes and does not show. */
const silent = ["iversion", "noiversion", "mand", "nomand", "silent", "loud", "norelatime", "nostrictatime"];

const optionCases = [
  ...[...shown, ...shownOfFileSystem].map(([options, part, yes, no]): Case =>
    inside(`tmpfs with ${options.join(",")}`, show, has(part, yes, no), {
      change: (spec) => spec.mounts.push(tmpfs(...options)),
    })
  ),
  ...shown.map(([options, part, yes, no]): Case =>
    inside(`a bind mount with ${options.join(",")}`, show, has(part, yes, no), {
      prepare: makeSource,
      change: (spec, place) => spec.mounts.push(bind(place, "bind", ...options)),
    })
  ),
  inside(`tmpfs with ${silent.join(",")}`, show, /^rw/, { change: (spec) => spec.mounts.push(tmpfs(...silent)) }),
  inside("tmpfs with nosymfollow", show, has(0, ["nosymfollow"]), {
    change: (spec) => spec.mounts.push(tmpfs("nosymfollow")),
    except: { runc: "runc 1.1 does not know it" },
  }),
  inside("tmpfs with lazytime", show, has(2, ["lazytime"]), {
    change: (spec) => spec.mounts.push(tmpfs("lazytime")),
    except: { runc: "runc 1.1 does not know it" },
  }),
];

/** Propagation → what mountinfo shows of it. */
const propagations: readonly [option: string, pattern: RegExp][] = [
  ["private", /^[^|]*\|\|/],
  ["rprivate", /^[^|]*\|\|/],
  ["shared", /\|shared:\d+ \|/],
  ["rshared", /\|shared:\d+ \|/],
  ["slave", /\|(master:\d+ )?\|/],
  ["rslave", /\|(master:\d+ )?\|/],
  ["unbindable", /\|unbindable \|/],
  ["runbindable", /\|unbindable \|/],
];

const propagationCases = propagations.flatMap(([option, pattern]): Case[] => [
  inside(`tmpfs with ${option}`, show, pattern, { change: (spec) => spec.mounts.push(tmpfs(option)) }),
  inside(`a bind mount with ${option}`, show, pattern, {
    prepare: makeSource,
    change: (spec, place) => spec.mounts.push(bind(place, "bind", option)),
  }),
]);

const rootCases = ["private", "rprivate", "slave", "rslave", "unbindable", "runbindable", "shared", "rshared"].map(
  (rootfsPropagation): Case =>
    inside(
      `rootfsPropagation ${rootfsPropagation}`,
      `awk '$5=="/" { for (i = 7; $i != "-"; i++) printf "%s ", $i; print "" }' /proc/self/mountinfo`,
      rootfsPropagation.includes("shared")
        ? /shared:/
        : rootfsPropagation.includes("un")
        ? /unbindable/
        : /^(master:\d+ )?\n/,
      {
        change: (spec) => spec.linux.rootfsPropagation = rootfsPropagation,
        ...(/shared|un/.test(rootfsPropagation)
          ? { except: { runc: "runc 1.1 sets it before its mounts, and never after" } }
          : {}),
      },
    ),
);

const bound = (name: string, script: string, out: string | RegExp, options: string[], more: InsideOptions = {}): Case =>
  inside(name, script, out, {
    prepare: makeSource,
    change: (spec, place) => spec.mounts.push(bind(place, ...options)),
    ...more,
  });

/** Options of a whole tree → what a mount below has as well. The runtime runs where the source has a mount below it. */
const recursive = (["rro", "rnosuid", "rnodev", "rnoexec", "rnoatime"] as const).map((option): Case => ({
  ...inside(
    `${option} holds for mounts below`,
    `awk '$5 ~ "^/m" { print $6 }' /proc/self/mountinfo | grep -cw ${option.slice(1)}`,
    "2",
    { prepare: makeSource, change: (spec, place) => spec.mounts.push(bind(place, "rbind", option)) },
  ),
  steps: [{
    call: ["run", "ID"],
    out: "2",
    around: ["unshare", "-m", "sh", "-c", 'mount -t tmpfs tmpfs DIR/source/sub && exec "$@"', "sh"],
  }],
}));

/** Cases of `mounts`. */
export const mountCases: readonly Case[] = [
  ...optionCases,
  ...propagationCases,
  ...rootCases,
  bound("a bind mount shows the source", "cat /m/file", "content", ["bind"]),
  bound("a bind mount that is rw can be written to", "echo x > /m/new && cat /m/new", "x", ["rbind", "rw"]),
  bound("a bind mount that is ro cannot be written to", "touch /m/new 2>/dev/null || echo refused", "refused", [
    "rbind",
    "ro",
  ]),
  inside("a file is bound onto a file that is made", "cat /deep/er/file", "content", {
    prepare: makeSource,
    change: (spec, { directory }) =>
      spec.mounts.push({
        destination: "/deep/er/file",
        type: "bind",
        source: `${directory}/source/file`,
        options: ["bind"],
      }),
  }),
  inside("an option bind needs no type", "cat /m/file", "content", {
    prepare: makeSource,
    change: (spec, place) =>
      spec.mounts.push({ destination: "/m", source: `${place.directory}/source`, options: ["bind"] }),
  }),
  inside("a relative source is the bundle's", "cat /m/file", "content", {
    prepare: makeSource,
    change: (spec) => spec.mounts.push({ destination: "/m", type: "bind", source: "source", options: ["bind"] }),
  }),
  inside("a relative destination is counted from the root", "cat /m/file", "content", {
    prepare: makeSource,
    change: (spec, place) => spec.mounts.push({ ...bind(place, "bind"), destination: "m" }),
    err: /level=warning msg="mount destination m is not absolute/,
  }),
  inside("mounts are made in their order", "ls /m", "sub", {
    prepare: makeSource,
    change: (spec, place) => spec.mounts.push(bind(place, "bind"), tmpfs(), { ...tmpfs(), destination: "/m/sub" }),
  }),
  inside(
    "a destination through a link stays inside",
    "ls /tmp/inner/file; test -e /way/inner/file && echo same",
    "/tmp/inner/file\nsame",
    {
      prepare: (place) => {
        makeSource(place);
        Deno.symlinkSync("/../../../../../../tmp", `${place.rootfs}/way`);
      },
      change: (spec, place) => spec.mounts.push({ ...bind(place, "bind"), destination: "/way/inner" }),
    },
  ),
  inside("a destination with .. stays inside", "cat /m/file", "content", {
    prepare: makeSource,
    change: (spec, place) => spec.mounts.push({ ...bind(place, "bind"), destination: "/../../m" }),
  }),
  inside("tmpfs takes over the mode of what it covers", "stat -c %a /m", "711", {
    prepare: ({ rootfs }) => {
      Deno.mkdirSync(`${rootfs}/m`);
      Deno.chmodSync(`${rootfs}/m`, 0o711);
    },
    change: (spec) => spec.mounts.push(tmpfs()),
  }),
  inside(
    "proc, sysfs, devpts, mqueue and shm are there",
    "stat -f -c %t /proc /sys /dev/pts /dev/mqueue /dev/shm",
    "9fa0\n62656572\n1cd1\n19800202\n1021994",
  ),
  inside(
    "cgroups are there, read-only",
    "test -d /sys/fs/cgroup/memory && touch /sys/fs/cgroup/memory/x 2>/dev/null || echo refused",
    "refused",
    {
      needs: "cgroup v1",
    },
  ),
  inside(
    "of cgroups the container sees its own",
    "ls -d /sys/fs/cgroup/memory/*; cat /sys/fs/cgroup/pids/cgroup.procs | head -1",
    /memory\.limit_in_bytes[^]*\n1\n$/,
    {
      needs: "cgroup v1",
    },
  ),
  inside("cpu and its joined name are both there", "ls -d /sys/fs/cgroup/cpu /sys/fs/cgroup/cpuacct | wc -l", "2", {
    needs: "cgroup v1",
  }),
  inside("tmpcopyup begins with a copy", "cat /m/file; stat -f -c %T /m", "content\ntmpfs", {
    prepare: ({ rootfs }) => {
      Deno.mkdirSync(`${rootfs}/m`);
      Deno.writeTextFileSync(`${rootfs}/m/file`, "content\n");
    },
    change: (spec) => spec.mounts.push(tmpfs("tmpcopyup")),
  }),
  ...recursive,
  inside(
    "nothing of the host is seen among the mounts",
    "grep -c /etc/hostname /proc/self/mountinfo; awk '$5==\"/\"' /proc/self/mountinfo | wc -l",
    "0\n1",
  ),
  inside(
    "a read-only root is read-only, and its mounts are not",
    "touch /x 2>/dev/null || echo refused; touch /m/x && echo written",
    "refused\nwritten",
    {
      change: (spec) => {
        spec.root.readonly = true;
        spec.mounts.push(tmpfs());
      },
      prepare: ({ rootfs }) => Deno.mkdirSync(`${rootfs}/m`),
    },
  ),
  {
    ...inside("targets that were missing are made in the root file system", "true", ""),
    change: (spec) => {
      spec.mounts.push(tmpfs());
      spec.process.args = ["true"];
    },
    steps: [{ call: ["run", "ID"] }, { host: ({ rootfs }) => void Deno.statSync(`${rootfs}/m`) }],
  },
  refused("a source that does not exist is refused", (spec) => {
    spec.mounts.push({ destination: "/m", type: "bind", source: "/no/such/source", options: ["bind"] });
  }, /\/no\/such\/source/),
  refused("a file system that the kernel does not know is refused", (spec) => {
    spec.mounts.push({ destination: "/m", type: "galaxyfs", source: "none" });
  }, /no such device/i),
  refused("an option that the file system does not know is refused", (spec) => {
    spec.mounts.push(tmpfs("galaxy=1"));
  }, /invalid argument/i),
  refused(
    "a mount over the root is refused",
    (spec) => {
      spec.mounts.push({ ...tmpfs(), destination: "/" });
    },
    /root|rootfs|destination|"\/"/i,
    { except: { runc: "runc 1.1 mounts it, and finds no command in it" } },
  ),
  refused("a mount over /proc that is no proc is refused", (spec) => {
    spec.mounts.push({ ...tmpfs(), destination: "/proc" });
  }, /proc/),
  refused("a mount into /proc is refused", (spec, place) => {
    spec.mounts.push({
      destination: "/proc/self/attr",
      type: "bind",
      source: `${place.directory}/rootfs`,
      options: ["bind"],
    });
  }, /proc/),
  refused(
    "a proc through a link is refused",
    (spec) => {
      spec.mounts = spec.mounts.filter(({ destination }) => destination !== "/proc");
      spec.mounts.push({ destination: "/way", type: "proc", source: "proc" });
    },
    /symlink|symbolic|link|directory/i,
    {
      prepare: ({ rootfs }) => Deno.symlinkSync("/tmp", `${rootfs}/way`),
    },
  ),
  ...["proc", "sys"].map((name) =>
    refused(`a link in the place of /${name} is refused`, () => {}, /directory|symlink|symbolic/i, {
      prepare: ({ rootfs }) => {
        Deno.removeSync(`${rootfs}/${name}`);
        Deno.symlinkSync("/tmp", `${rootfs}/${name}`);
      },
    })
  ),
];
