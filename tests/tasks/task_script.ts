/**
 * Stock `ctr` commands about tasks for any daemon, as data.
 *
 * @module
 */
import { image } from "./task_fixture.ts";

/** One command. */
export interface TaskStep {
  readonly args: readonly string[];
  /** Text for standard input. */
  readonly stdin?: string;
  /** It is repeated until what it prints matches: the command before it has an effect only later. */
  readonly until?: RegExp;
  /** Only lines that match are compared. */
  readonly lines?: RegExp;
}

const step = (...args: string[]): TaskStep => ({ args });
const until = (until: RegExp, ...args: string[]): TaskStep => ({ args, until });

/** All of them. `scratch` is a directory for files. */
export function taskScript(scratch: string): TaskStep[] {
  return [...short(), ...life(), ...executions(), ...refusals(), ...streams(scratch), ...sharing()];
}

const run = (...args: string[]) => step("run", ...args);

/** Containers that end by themselves. */
function short(): TaskStep[] {
  return [
    run("--rm", image, "s1", "echo", "hello"),
    run("--rm", image, "s1", "sh", "-c", "echo out; echo err >&2; exit 7"),
    run("--rm", image, "s1", "sh", "-c", "kill -9 $$"),
    run("--rm", "--env", "A=b", "--cwd", "/tmp", image, "s1", "sh", "-c", "echo $A; pwd"),
    run("--rm", "--null-io", image, "s1", "echo", "nobody hears this"),
    { args: ["run", "--rm", image, "s1", "head", "-n", "1"], stdin: "through standard input\n" },
    run("--rm", "--read-only", image, "s1", "touch", "/file"),
    run(
      "--rm",
      "--memory-limit",
      "20000000",
      image,
      "s1",
      "sh",
      "-c",
      "cat /sys/fs/cgroup/memory*/memory.limit_in_bytes",
    ),
    run("--rm", image, "s1", "nosuchprogram"),
    run("--rm", image, "s1", "/etc"),
    run("--rm", "--cwd", "/nowhere", image, "s1", "true"),
    step("containers", "ls"),
    step("tasks", "ls"),
  ];
}

/** One container's life by its commands. */
function life(): TaskStep[] {
  return [
    run("-d", image, "l1", "sleep", "1000"),
    step("tasks", "ls"),
    step("tasks", "ls", "-q"),
    step("tasks", "ps", "l1"),
    { args: ["tasks", "metrics", "l1"], lines: /^METRIC|^memory\.usage|^pids|^ID/ },
    step("tasks", "metrics", "--format", "nonsense", "l1"),
    run("-d", image, "l1", "true"),
    step("tasks", "start", "-d", "l1"),
    step("tasks", "pause", "l1"),
    step("tasks", "ls"),
    step("tasks", "pause", "l1"),
    step("tasks", "exec", "--exec-id", "x", "l1", "true"),
    step("tasks", "resume", "l1"),
    step("tasks", "resume", "l1"),
    step("tasks", "rm", "l1"),
    step("containers", "rm", "l1"),
    step("tasks", "checkpoint", "--image-path", "/proc/nowhere", "l1"),
    step("tasks", "kill", "-s", "NOSUCH", "l1"),
    step("tasks", "kill", "--exec-id", "none", "l1"),
    step("tasks", "kill", "-s", "9", "l1"),
    until(/STOPPED/, "tasks", "ls"),
    step("tasks", "kill", "-s", "9", "l1"),
    step("tasks", "pause", "l1"),
    step("tasks", "resume", "l1"),
    step("tasks", "exec", "--exec-id", "x", "l1", "true"),
    step("tasks", "start", "l1"),
    step("tasks", "rm", "l1"),
    step("tasks", "rm", "l1"),
    step("tasks", "ps", "l1"),
    step("tasks", "attach", "l1"),
    // The same container again, with a task of its own.
    step("tasks", "start", "-d", "l1"),
    step("tasks", "rm", "-f", "l1"),
    step("containers", "rm", "l1"),
    step("snapshots", "ls"),
  ];
}

/** Processes besides the first one. */
function executions(): TaskStep[] {
  return [
    run("-d", image, "e1", "sleep", "1000"),
    step("tasks", "exec", "--exec-id", "x1", "e1", "sh", "-c", "echo out; echo err >&2; exit 3"),
    step("tasks", "exec", "--exec-id", "x1", "e1", "echo", "the id is free again"),
    { args: ["tasks", "exec", "--exec-id", "x2", "e1", "head", "-n", "1"], stdin: "into an exec\n" },
    step("tasks", "exec", "--exec-id", "x3", "--cwd", "/tmp", "--user", "7:8", "e1", "sh", "-c", "pwd; id -u; id -g"),
    step("tasks", "exec", "--exec-id", "x4", "e1", "nosuchprogram"),
    step("tasks", "exec", "--exec-id", "bad/id", "e1", "true"),
    step("tasks", "exec", "--exec-id", "", "e1", "true"),
    step("tasks", "exec", "-d", "--exec-id", "x5", "e1", "sleep", "1000"),
    step("tasks", "exec", "-d", "--exec-id", "x5", "e1", "sleep", "1000"),
    { args: ["tasks", "ps", "e1"], lines: /x5|^PID/ },
    step("tasks", "kill", "--exec-id", "x5", "-s", "9", "e1"),
    step("tasks", "rm", "--exec-id", "nothing", "e1"),
    until(/^$/, "tasks", "rm", "--exec-id", "x5", "e1"),
    step("tasks", "rm", "-f", "e1"),
    step("containers", "rm", "e1"),
  ];
}

/** What cannot be. */
function refusals(): TaskStep[] {
  return [
    run("--rm", "--runtime", "io.containerd.nosuch.v1", image, "r1", "true"),
    run("--rm", "--runtime", "nosuch", image, "r1", "true"),
    run("--rm", "--runtime", "/bin/nosuch", image, "r1", "true"),
    run("--rm", "--runtime", "/bin/false", image, "r1", "true"),
    run("--rm", "--runtime", "bin/false", image, "r1", "true"),
    run("--rm", "--mount", "type=bind,src=/nosuch/place,dst=/x,options=rbind", image, "r1", "true"),
    run("--rm", "--log-uri", "nosuch://x", image, "r1", "true"),
    step("tasks", "ls"),
    step("containers", "ls"),
  ];
}

/** Where output goes. */
function streams(scratch: string): TaskStep[] {
  return [
    run(
      "-d",
      "--log-uri",
      `file://${scratch}/log/of-f1`,
      image,
      "f1",
      "sh",
      "-c",
      "echo into a file; sleep 0.1; echo err >&2",
    ),
    until(/STOPPED/, "tasks", "ls"),
    step("tasks", "rm", "f1"),
    step("containers", "rm", "f1"),
    run("--rm", "--mount", `type=bind,src=${scratch}/log,dst=/log,options=rbind:ro`, image, "f2", "cat", "/log/of-f1"),
  ];
}

/** Containers of other namespaces have the same names. */
function sharing(): TaskStep[] {
  return [
    run("-d", image, "n1", "sleep", "1000"),
    step("-n", "nobody-is-here", "tasks", "ls"),
    step("-n", "nobody-is-here", "tasks", "kill", "n1"),
    step("tasks", "kill", "-a", "-s", "KILL", "n1"),
    until(/STOPPED/, "tasks", "ls"),
    step("tasks", "rm", "n1"),
    step("containers", "rm", "n1"),
    step("tasks", "ls"),
  ];
}
