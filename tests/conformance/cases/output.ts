/**
 * What commands print, and the files that they write.
 *
 * @module
 */
import assert from "node:assert/strict";
import { alive, type Case, inside } from "../case.ts";

const sleeps = (name: string, steps: Case["steps"], more: Parameters<typeof alive>[2] = {}) =>
  alive(name, [{ runs: "sleep" }, ...steps], more);

/** Keys of an object of JSON in the text. */
const keysOf = (text: string) => Object.keys(JSON.parse(text)).sort().join(" ");

/** Cases of `state`, `list`, `ps`, `events`, `features`, `spec`, logs and pid files. */
export const outputCases: readonly Case[] = [
  sleeps("state prints one object without a newline at its end", [{
    call: ["state", "ID"],
    out: (text, { id, directory, rootfs }) => {
      assert(text.startsWith("{\n  ") && text.endsWith("\n}"), "two blanks of indent, no newline");
      const state = JSON.parse(text);
      assert.equal(keysOf(text), "annotations bundle created id ociVersion owner pid rootfs status");
      assert.deepEqual([state.id, state.bundle, state.rootfs, state.status, state.owner], [
        id,
        directory,
        rootfs,
        "running",
        "",
      ]);
      assert.deepEqual(state.annotations, { "org.example.one": "1", "org.example.two": "" });
      assert.match(state.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
      assert(Deno.readTextFileSync(`/proc/${state.pid}/cmdline`).startsWith("sleep"));
    },
  }], { change: (spec) => spec.annotations = { "org.example.one": "1", "org.example.two": "" } }),
  sleeps("state without annotations has none", [{
    call: ["state", "ID"],
    out: (text) => assert.equal(keysOf(text), "bundle created id ociVersion owner pid rootfs status"),
  }]),
  {
    name: "a stopped container has the process id 0",
    change: (spec) => spec.process.args = ["true"],
    steps: [
      { call: ["run", "-d", "ID"] },
      { until: "stopped" },
      { call: ["state", "ID"], out: (text) => assert.equal(JSON.parse(text).pid, 0) },
      { call: ["delete", "ID"] },
    ],
  },
  sleeps("list prints a table", [{
    call: ["list"],
    out: (text, { id, directory }) => {
      const [header = "", ...rows] = text.trimEnd().split("\n");
      assert.deepEqual(header.split(/ {2,}/), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
      const row = rows.map((line) => line.split(/ {2,}/)).find(([first]) => first === id);
      assert.deepEqual([row?.[2], row?.[3], row?.[5]], ["running", directory, "root"]);
    },
  }]),
  sleeps("list --format json prints one line", [{
    call: ["list", "--format", "json"],
    out: (text, { id }) => {
      assert.equal(text.split("\n").length, 2);
      const [one] = JSON.parse(text).filter((entry: { id: string }) => entry.id === id);
      assert.deepEqual([one.status, one.owner], ["running", "root"]);
      assert.deepEqual(Object.keys(one).slice(0, 7), [
        "ociVersion",
        "id",
        "pid",
        "status",
        "bundle",
        "rootfs",
        "created",
      ]);
    },
  }]),
  sleeps("list -q prints ids", [{ call: ["list", "-q"], out: (text, { id }) => assert.equal(text, `${id}\n`) }]),
  {
    name: "list without containers prints null as JSON",
    steps: [{ call: ["list", "-f", "json"], out: "null" }],
    except: { crun: "crun prints []" },
  },
  { name: "list without containers prints nothing as ids", steps: [{ call: ["list", "-q"], out: "" }] },
  {
    name: "list refuses an unknown format",
    steps: [{ call: ["list", "-f", "xml"], code: 1, err: /xml|format/ }],
    except: { runc: "runc looks at it only where there is a container" },
  },
  sleeps("ps prints a table of the host's ps", [{ call: ["ps", "ID"], out: /^UID +PID +PPID.*\n.* sleep 100\n$/ }]),
  sleeps("ps passes arguments on", [{ call: ["ps", "ID", "-o", "pid,comm"], out: /^ *PID COMMAND\n *\d+ sleep\n$/ }]),
  sleeps("ps --format json prints process ids", [{ call: ["ps", "--format", "json", "ID"], out: /^\[\d+\]\n$/ }]),
  sleeps("ps refuses arguments that show no process ids", [{ call: ["ps", "ID", "-o", "comm"], code: 1, err: /PID/ }]),
  sleeps("events --stats prints one line", [{
    call: ["events", "--stats", "ID"],
    out: (text, { id }) => {
      assert.equal(text.split("\n").length, 2);
      const event = JSON.parse(text);
      assert.deepEqual([event.type, event.id], ["stats", id]);
      assert.deepEqual(Object.keys(event.data).sort(), [
        "blkio",
        "cpu",
        "cpuset",
        "hugetlb",
        "intel_rdt",
        "memory",
        "network_interfaces",
        "pids",
      ]);
      assert.deepEqual(Object.keys(event.data.cpu).sort(), ["throttling", "usage"]);
      assert(event.data.pids.current >= 1);
      assert(event.data.memory.usage.usage > 0 && event.data.memory.usage.limit > 0);
      for (const key of ["usage", "kernel", "raw"]) assert(key in event.data.memory, key);
    },
  }], { needs: "cgroup v1" }),
  {
    name: "the pid file holds the number alone",
    change: (spec) => spec.process.args = ["sleep", "100"],
    steps: [
      { call: ["create", "--pid-file", "DIR/pid", "ID"], out: "", err: /^$/ },
      {
        call: ["state", "ID"],
        out: (text, { directory }) =>
          assert.equal(Deno.readTextFileSync(`${directory}/pid`), String(JSON.parse(text).pid)),
      },
      { call: ["delete", "ID"] },
    ],
  },
  {
    name: "a relative pid file is the caller's",
    change: (spec) => spec.process.args = ["sleep", "100"],
    prepare: ({ directory }) => Deno.mkdirSync(`${directory}/elsewhere`),
    steps: [
      { call: ["create", "--pid-file", "pid", "ID"], cwd: "DIR/elsewhere" },
      { host: ({ directory }) => void Deno.statSync(`${directory}/elsewhere/pid`) },
      { call: ["delete", "ID"] },
    ],
  },
  {
    name: "without --bundle the working directory is the bundle",
    change: (spec) => spec.process.args = ["echo", "here"],
    steps: [{ call: ["run", "ID"], noBundle: true, cwd: "DIR", out: "here" }],
  },
  {
    name: "--log-format json writes errors that callers read, and says them on standard error too",
    steps: [
      {
        call: ["--log", "DIR/log.json", "--log-format", "json", "start", "ID"],
        code: 1,
        err: /^container does not exist\n$/,
      },
      {
        host: ({ directory }) => {
          const lines = Deno.readTextFileSync(`${directory}/log.json`).trim().split("\n").map((line) =>
            JSON.parse(line)
          );
          const last = lines.at(-1);
          assert.deepEqual([last.level, last.msg], ["error", "container does not exist"]);
          assert.match(last.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/);
        },
      },
    ],
  },
  {
    name: "--log writes text",
    steps: [
      { call: ["--log", "DIR/log", "start", "ID"], code: 1, err: /^container does not exist\n$/ },
      { file: "log", holds: /^time="?[^ ]+"? level=error msg="container does not exist"\n$/ },
    ],
  },
  { name: "an unknown log format is refused", steps: [{ call: ["--log-format", "xml", "list"], code: 1, err: /xml/ }] },
  { name: "an unknown flag is refused", steps: [{ call: ["list", "--galaxy"], code: 1, err: /galaxy/ }] },
  { name: "an unknown global flag is refused", steps: [{ call: ["--galaxy", "list"], code: 1, err: /galaxy/ }] },
  ...["create", "exec", "update"].map((command): Case => ({
    name: `${command} --help tells of its flags`,
    steps: [{ call: [command, "--help"], out: command === "update" ? /--cpu-share/ : /--pid-file/, err: /^$/ }],
  })),
  { name: "help tells of the commands", steps: [{ call: ["help"], out: /create[^]*start/ }] },
  {
    name: "--version names the versions",
    steps: [{ call: ["--version"], out: /^\w+ version .+\n(commit: .+\n)?spec: \d+\.\d+\.\d+/ }],
  },
  { name: "spec refuses to write over a file", steps: [{ call: ["spec", "--bundle", "DIR"], code: 1, err: /exists/ }] },
  inside("annotations are no part of the container", "env | grep -c example", "0", {
    code: 1,
    change: (spec) => spec.annotations = { "org.example.one": "1" },
  }),
];
