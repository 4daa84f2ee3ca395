/**
 * Further processes in a container: `exec` with all that it knows.
 *
 * @module
 */
import { alive, type Case, type Expected, type FullSpec, type Step } from "../case.ts";

/** One exec, and what it must say. */
const exec = (
  name: string,
  words: readonly string[],
  out: Expected,
  more: { code?: number; err?: RegExp; stdin?: string; change?: (spec: FullSpec) => void; except?: Case["except"] } =
    {},
): Case => {
  const { change, except, ...expected } = more;
  return alive(name, [{ call: ["exec", ...words], out, ...expected }], { change, except });
};

const sh = (script: string) => ["ID", "sh", "-c", script];

/** The same by a file for `--process`. */
const byFile = (
  name: string,
  process: Record<string, unknown>,
  out: Expected,
  more: Parameters<typeof exec>[3] = {},
): Case => {
  const { change, except, ...expected } = more;
  const whole = { cwd: "/", env: ["PATH=/bin"], user: { uid: 0, gid: 0 }, ...process };
  return alive(name, [
    { host: ({ directory }) => Deno.writeTextFileSync(`${directory}/process.json`, JSON.stringify(whole)) },
    { call: ["exec", "--process", "DIR/process.json", "ID"], out, ...expected },
  ], { change, except });
};

const caps = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | sed 's/^0*//' | tr '\\n' ' '";

/** Waits until a file that a detached exec writes holds a text. */
const waits = (holds: Expected): Step => ({ file: "rootfs/tmp/said", holds });

/** A program that has a terminal itself; the words are its command. */
const onTerminal = [
  "python3",
  "-c",
  "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))",
];

/** Cases of `exec`. */
export const execCases: readonly Case[] = [
  exec("exec passes output and exit code on", sh("echo out; echo err >&2; exit 5"), "out", { code: 5, err: /^err\n$/ }),
  exec("exec passes standard input on, and its end", ["ID", "wc", "-c"], "100000", { stdin: "x".repeat(100_000) }),
  exec("exec's process that a signal ends", sh("kill -KILL $$"), "", { code: 137 }),
  exec(
    "exec is in the container's namespaces",
    sh(
      "for n in ipc mnt net pid uts; do { readlink /proc/1/ns/$n; readlink /proc/self/ns/$n; } | uniq | wc -l; done | uniq",
    ),
    "1",
  ),
  exec(
    "exec is in the container's cgroups",
    sh('[ "$(cat /proc/self/cgroup)" = "$(cat /proc/1/cgroup)" ] && echo same'),
    "same",
  ),
  exec("exec has the container's environment and directory", sh("echo $A; pwd"), "1\n/tmp", {
    change: (spec) => {
      spec.process.env!.push("A=1");
      spec.process.cwd = "/tmp";
    },
  }),
  exec("exec -e adds and replaces", ["-e", "A=2", "-e", "B=x y", ...sh('echo "$A|$B"')], "2|x y", {
    change: (spec) => spec.process.env!.push("A=1"),
  }),
  exec("exec --cwd sets the directory", ["--cwd", "/etc", "ID", "pwd"], "/etc"),
  exec(
    "exec --user sets user and group",
    ["--user", "1000:50", ...sh("id -u; id -g; echo $HOME")],
    "1000\n50\n/home/alice",
  ),
  exec("exec -u with a user alone leaves the group", ["-u", "1000", ...sh("id -u; id -g")], "1000\n0"),
  exec("exec -g adds groups", ["-g", "7", "-g", "8", ...sh("id -G")], "0 7 8"),
  exec("exec refuses a user by name", ["--user", "alice", "ID", "id"], "", { code: 255, err: /alice/ }),
  exec("exec has the container's capabilities", sh(caps), "20 20 20", {
    change: (spec) =>
      spec.process.capabilities = { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
  }),
  exec("exec --cap adds a capability", ["--cap", "CAP_CHOWN", ...sh(caps)], "21 21 21", {
    change: (spec) =>
      spec.process.capabilities = { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
  }),
  exec("exec --no-new-privs sets it", ["--no-new-privs", ...sh("grep NoNewPrivs /proc/self/status | cut -f2")], "1", {
    change: (spec) => spec.process.noNewPrivileges = false,
  }),
  exec("exec has the container's limits", sh("ulimit -n"), "222", {
    change: (spec) => spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 222, hard: 333 }],
    except: { runc: "runc 1.1 races with its own limit, which Go raises" },
  }),
  exec("exec has the container's filter of system calls", sh("mkdir /new 2>&1"), /No space left/, {
    code: 1,
    change: (spec) =>
      spec.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
      },
  }),
  exec("exec has the umask of the container", sh("umask"), "0077", {
    change: (spec) => spec.process.user.umask = 0o77,
    except: { runc: "runc 1.1 gives exec 0022" },
  }),
  exec("exec of a command that is not there", ["ID", "nosuch"], "", {
    code: 255,
    err: /executable file not found in \$PATH/,
  }),
  exec("exec of a path that is not there", ["ID", "/no/such"], "", { code: 255, err: /no such file or directory/ }),
  exec("exec of a directory", ["ID", "/etc"], "", { code: 255, err: /permission denied|is a directory/i }),
  exec("exec into a directory that is not there", ["--cwd", "/nowhere", "ID", "pwd"], "", {
    code: 255,
    err: /no such file/i,
  }),
  exec(
    "exec --cap=NAME and --user UID stand beside each other",
    ["--cap=CAP_CHOWN", "--user", "0:0", ...sh("id -u")],
    "0",
  ),
  exec("exec without a command is refused", ["ID"], "", { code: 255, err: /args/ }),
  exec("exec closes descriptors", sh("ls /proc/self/fd | wc -l"), "4"),
  alive("exec -t has a terminal", [{
    call: ["exec", "-t", ...sh("test -t 0 && test -t 1 && test -t 2 && echo a tty; exit 6")],
    around: onTerminal,
    out: /a tty\r*\n/,
    code: 6,
  }]),
  alive("exec -t gives the terminal to the user", [{
    call: ["exec", "-t", "--user", "1000:50", ...sh("stat -c %u $(tty); echo x > $(tty)")],
    around: onTerminal,
    out: /1000\r*\nx\r*\n/,
  }]),
  alive("exec -d gives its streams to the user", [
    { call: ["exec", "-d", "--user", "1000", ...sh("stat -L -c %u /proc/self/fd/1; echo more >> /dev/stdout")] },
    { file: "out", holds: "1000\nmore" },
  ]),
  {
    name: "create gives its streams to the user",
    change: (spec) => {
      spec.process.user = { uid: 1000, gid: 1000 };
      spec.process.args = ["sh", "-c", "stat -L -c %u /proc/self/fd/1; echo more >> /dev/stdout"];
    },
    steps: [
      { call: ["create", "ID"] },
      { call: ["start", "ID"] },
      { file: "out", holds: "1000\nmore" },
      { until: "stopped" },
      { call: ["delete", "ID"] },
    ],
  },
  {
    name: "run with a terminal in the foreground",
    change: (spec) => {
      spec.process.terminal = true;
      spec.process.args = ["sh", "-c", "test -t 0 && test -t 2 && tty && stat -c %F /dev/console; exit 7"];
    },
    steps: [{
      call: ["run", "ID"],
      around: onTerminal,
      out: /\/dev\/(console|pts\/0)\r*\ncharacter special file\r*\n/,
      code: 7,
    }],
  },
  alive("exec -d returns at once and writes a pid file", [
    { call: ["exec", "-d", "--pid-file", "DIR/pid", ...sh("echo said > /tmp/said; exec sleep 50")], out: "" },
    waits("said"),
    {
      host: ({ directory }) => {
        const pid = Deno.readTextFileSync(`${directory}/pid`);
        if (!Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("sleep")) throw new Error(pid);
      },
    },
    { call: ["ps", "--format", "json", "ID"], out: /^\[\d+,\d+\]\n$/ },
  ]),
  alive("exec --preserve-fds passes descriptors on", [{
    call: ["exec", "--preserve-fds", "1", ...sh("cat <&3")],
    around: ["sh", "-c", 'echo through > DIR/given; exec "$@" 3<DIR/given', "sh"],
    out: "through",
  }]),
  {
    name: "run --preserve-fds passes descriptors on",
    change: (spec) => spec.process.args = ["sh", "-c", "cat <&3; cat <&4"],
    steps: [{
      call: ["run", "--preserve-fds", "2", "ID"],
      around: ["sh", "-c", 'echo one > DIR/one; echo two > DIR/two; exec "$@" 3<DIR/one 4<DIR/two', "sh"],
      out: "one\ntwo",
    }],
  },
  {
    name: "run --preserve-fds refuses descriptors that are not open",
    change: (spec) => spec.process.args = ["true"],
    steps: [{ call: ["run", "--preserve-fds", "9", "ID"], code: 1, err: /descriptor|preserved?-fd/i }],
  },
  byFile("a process file's arguments", {
    args: ["sh", "-c", "echo $A; pwd; id -u; id -G"],
    env: ["PATH=/bin", "A=file"],
    cwd: "/tmp",
    user: { uid: 5, gid: 6, additionalGids: [7] },
  }, "file\n/tmp\n5\n6 7"),
  byFile("a process file without capabilities has the container's", { args: ["sh", "-c", caps] }, "20 20 20", {
    change: (spec) =>
      spec.process.capabilities = { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
  }),
  byFile("a process file's own capabilities", {
    args: ["sh", "-c", caps],
    capabilities: { bounding: ["CAP_CHOWN"], effective: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"] },
  }, "1 1 1"),
  byFile("a process file without limits has the container's", { args: ["sh", "-c", "ulimit -n"] }, "222", {
    change: (spec) => spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 222, hard: 333 }],
    except: { runc: "runc 1.1 gives such a process the caller's" },
  }),
  byFile("a process file's own limits", {
    args: ["sh", "-c", "ulimit -n"],
    rlimits: [{ type: "RLIMIT_NOFILE", soft: 111, hard: 111 }],
  }, "111"),
  byFile("a process file without no_new_privs has none", {
    args: ["sh", "-c", "grep NoNewPrivs /proc/self/status | cut -f2"],
  }, "0"),
  byFile("a process file without arguments is refused", { args: [] }, "", { code: 255, err: /args/ }),
  byFile("a process file with a relative directory is refused", { args: ["true"], cwd: "tmp" }, "", {
    code: 255,
    err: /cwd/i,
  }),
  alive("a process file that does not exist is refused", [{
    call: ["exec", "-p", "/no/such", "ID"],
    code: 255,
    err: /no such file/i,
  }]),
  alive("a process file that is no JSON is refused", [
    { host: ({ directory }) => Deno.writeTextFileSync(`${directory}/process.json`, "{") },
    { call: ["exec", "-p", "DIR/process.json", "ID"], code: 255, err: /JSON|unexpected/i },
  ]),
];
