/**
 * The process: arguments, environment, directory, user, limits, capabilities.
 *
 * @module
 */
import type { Capabilities, User } from "../../../api/oci/runtime_spec.ts";
import { type Case, inside, refused } from "../case.ts";

const user = (name: string, given: User, script: string, out: string): Case =>
  inside(name, script, out, { change: (spec) => spec.process.user = given });

const status = (...names: string[]) => `for n in ${names.join(" ")}; do grep ^$n: /proc/self/status | cut -f2; done`;

const none = "0000000000000000";
const kill = "0000000000000020";

/** Sets of a process, and what the kernel shows of them: inheritable, permitted, effective, bounding, ambient. */
const capability = (name: string, sets: Capabilities | undefined, shown: readonly string[], uid = 0): Case =>
  inside(name, status("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), shown.join("\n"), {
    change: (spec) => {
      spec.process.user = { uid, gid: uid };
      if (sets === undefined) delete spec.process.capabilities;
      else spec.process.capabilities = sets;
    },
  });

const every = (...names: string[]): Capabilities => ({
  bounding: names,
  effective: names,
  permitted: names,
  inheritable: names,
  ambient: names,
});

/** A limit, and the line of `/proc/self/limits` that shows it. */
const limit = (type: string, line: string, soft: number, hard: number): Case =>
  inside(`the limit ${type} is set`, `grep '^${line}' /proc/self/limits | tr -s ' '`, new RegExp(` ${soft} ${hard} `), {
    change: (spec) => spec.process.rlimits = [{ type: `RLIMIT_${type}`, soft, hard }],
  });

/** Cases of `process`. */
export const processCases: readonly Case[] = [
  inside("arguments reach the process as they are", "", /^<a b><><\$X><'"\\><ü>\n$/, {
    change: (spec) => spec.process.args = ["sh", "-c", 'printf "<%s>" "$@"; echo', "sh", "a b", "", "$X", `'"\\`, "ü"],
  }),
  inside("the exit code is the command's", "exit 77", "", { code: 77 }),
  inside("a signal's end is 128 and its number", "kill -USR1 $$; sleep 5", "", {
    code: 138,
    // Signals without a handler do not reach the init of a pid namespace.
    change: (spec) => spec.linux.namespaces = spec.linux.namespaces!.filter(({ type }) => type !== "pid"),
  }),
  inside("standard input comes through", "cat", "text\nand more", { stdin: "text\nand more" }),
  inside("outputs are two streams", "echo one; echo two >&2", "one", { err: /^two\n$/ }),
  inside(
    "the environment is the spec's alone",
    "env | grep -v ^SHLVL= | grep -v ^PWD= | sort",
    "A=1\nB=x y=z\nHOME=/root\nPATH=/bin",
    {
      change: (spec) => spec.process.env = ["PATH=/bin", "A=1", "B=x y=z"],
    },
  ),
  inside("a variable that is given twice has its last value", "echo $A", "2", {
    change: (spec) => spec.process.env = ["PATH=/bin", "A=1", "A=2"],
  }),
  inside("HOME is the user's of the image", "echo $HOME", "/home/alice", {
    change: (spec) => spec.process.user = { uid: 1000, gid: 1000 },
  }),
  inside("HOME of the spec counts", "echo $HOME", "/other", {
    change: (spec) => spec.process.env!.push("HOME=/other"),
  }),
  inside("HOME without a line in the image is the root", "echo $HOME", "/", {
    change: (spec) => spec.process.user = { uid: 4242, gid: 0 },
  }),
  inside("PATH of the spec finds the command", "echo found", "found", {
    prepare: ({ rootfs }) => Deno.renameSync(`${rootfs}/bin`, `${rootfs}/tools`),
    change: (spec) => spec.process.env = ["PATH=/nowhere:/tools"],
  }),
  inside("the working directory is the spec's", "pwd", "/tmp", { change: (spec) => spec.process.cwd = "/tmp" }),
  inside("a missing working directory is made", "pwd; stat -c '%a %u' .", "/made/deep\n755 0", {
    change: (spec) => spec.process.cwd = "/made/deep",
  }),
  inside("a working directory may be reached over a link", "pwd -P", "/tmp", {
    prepare: ({ rootfs }) => Deno.symlinkSync("/tmp", `${rootfs}/way`),
    change: (spec) => spec.process.cwd = "/way",
  }),
  inside("a working directory that only root may enter is entered", "readlink /proc/self/cwd || echo entered", /./, {
    prepare: ({ rootfs }) => Deno.mkdirSync(`${rootfs}/closed`, { mode: 0o700 }),
    change: (spec) => {
      spec.process.cwd = "/closed";
      spec.process.user = { uid: 1000, gid: 1000 };
    },
    except: { runc: "runc 1.1 tries as the user alone where its own attempt as root has failed" },
  }),
  refused("a relative working directory is refused", (spec) => spec.process.cwd = "tmp", /cwd|Cwd/),
  refused("an empty working directory is refused", (spec) => spec.process.cwd = "", /cwd|Cwd/),
  user("the user and group are the spec's", { uid: 1000, gid: 50 }, "id -u; id -g; id -G", "1000\n50\n50"),
  user("a user needs no name", { uid: 123456, gid: 654321 }, "id -u; id -g", "123456\n654321"),
  user("additional groups are set", { uid: 5, gid: 6, additionalGids: [7, 1234] }, "id -G", "6 7 1234"),
  user("the caller's groups are dropped", { uid: 0, gid: 0 }, `${status("Groups")} | tr -d ' '`, ""),
  user("the umask is 022", { uid: 0, gid: 0 }, "umask", "0022"),
  user("a umask of the spec is set", { uid: 0, gid: 0, umask: 0o77 }, "umask", "0077"),
  user("a umask of zero is set", { uid: 0, gid: 0, umask: 0 }, "umask", "0000"),
  inside(
    "the streams belong to the user",
    "stat -L -c %u /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 | uniq",
    "1000",
    {
      change: (spec) => spec.process.user = { uid: 1000, gid: 1000 },
      stdin: "x",
    },
  ),
  inside("no other descriptors are open", "ls /proc/self/fd | wc -l", "4"),
  inside("the process leads a session of its own", "cut -d' ' -f5,6 /proc/1/stat", "1 1"),
  inside("oom_score_adj is the spec's", "cat /proc/self/oom_score_adj", "321", {
    change: (spec) => spec.process.oomScoreAdj = 321,
  }),
  inside("oom_score_adj is the caller's without one", "cat /proc/self/oom_score_adj", (text) => {
    const own = Deno.readTextFileSync("/proc/self/oom_score_adj").trim();
    if (text.trim() !== own) throw new Error(`${text.trim()}, not ${own}`);
  }, { change: (spec) => delete spec.process.oomScoreAdj }),
  inside("no_new_privs is set where it is asked for", status("NoNewPrivs"), "1"),
  inside("no_new_privs is not set otherwise", status("NoNewPrivs"), "0", {
    change: (spec) => spec.process.noNewPrivileges = false,
  }),
  limit("NOFILE", "Max open files", 333, 444),
  limit("CORE", "Max core file size", 0, 1024),
  limit("NPROC", "Max processes", 500, 600),
  limit("FSIZE", "Max file size", 1_000_000, 2_000_000),
  limit("STACK", "Max stack size", 4_194_304, 8_388_608),
  limit("CPU", "Max cpu time", 100, 200),
  limit("AS", "Max address space", 1_073_741_824, 2_147_483_648),
  limit("DATA", "Max data size", 536_870_912, 1_073_741_824),
  limit("MEMLOCK", "Max locked memory", 4096, 8192),
  limit("MSGQUEUE", "Max msgqueue size", 1000, 2000),
  limit("SIGPENDING", "Max pending signals", 10, 20),
  limit("LOCKS", "Max file locks", 30, 40),
  limit("RSS", "Max resident set", 50_000, 60_000),
  limit("NICE", "Max nice priority", 0, 0),
  limit("RTPRIO", "Max realtime priority", 0, 0),
  limit("RTTIME", "Max realtime timeout", 70_000, 80_000),
  inside("a limit may be without an end", "grep '^Max core' /proc/self/limits | tr -s ' '", /unlimited unlimited/, {
    // The largest number of 64 bits, which is not one of JavaScript's.
    change: (spec) => spec.process.rlimits = [{ type: "RLIMIT_CORE", soft: 2 ** 64, hard: 2 ** 64 }],
    except: { runc: "2^64 stands for the largest number, which JavaScript cannot write" },
  }),
  refused(
    "an unknown limit is refused",
    (spec) => spec.process.rlimits = [{ type: "RLIMIT_X", soft: 1, hard: 1 }],
    /RLIMIT_X/,
  ),
  refused("a soft limit above the hard one is refused", (spec) => {
    spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 20, hard: 10 }];
  }, /rlimit|soft/i),
  capability("root has the sets of the spec", every("CAP_KILL"), [kill, kill, kill, kill, kill]),
  capability("a process without capabilities has none", {}, [none, none, none, none, none]),
  capability("another user keeps what is ambient", every("CAP_KILL"), [kill, kill, kill, kill, kill], 1000),
  capability(
    "another user's permitted set is lost at exec",
    { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
    [none, none, none, kill, none],
    1000,
  ),
  capability(
    "root gets no more at exec where no_new_privs is set",
    { bounding: ["CAP_KILL", "CAP_CHOWN"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
    [none, kill, kill, "0000000000000021", none],
  ),
  inside(
    "root gets the bounding set at exec otherwise",
    status("CapPrm", "CapBnd"),
    "0000000000000021\n0000000000000021",
    {
      change: (spec) => {
        spec.process.noNewPrivileges = false;
        spec.process.capabilities = {
          bounding: ["CAP_KILL", "CAP_CHOWN"],
          effective: ["CAP_KILL"],
          permitted: ["CAP_KILL"],
        };
      },
    },
  ),
  capability(
    "inheritable alone gives root nothing else",
    { bounding: ["CAP_KILL"], inheritable: ["CAP_KILL"], permitted: ["CAP_KILL"], effective: ["CAP_KILL"] },
    [kill, kill, kill, kill, none],
  ),
  inside("an unknown capability is left out with a warning", status("CapPrm", "CapBnd"), `${kill}\n${kill}`, {
    change: (spec) => spec.process.capabilities = every("CAP_KILL", "CAP_FLY"),
    err: /level=warning msg="ignoring unknown or unavailable capabilities: \[CAP_FLY\]"/,
    except: { crun: "crun refuses unknown capabilities" },
  }),
  inside("the session keyring is a new one", 'grep -c " _ses.$(hostname):" /proc/keys', "1", {
    change: (spec, { id }) => {
      spec.linux.maskedPaths = [];
      spec.hostname = id;
    },
  }),
];
