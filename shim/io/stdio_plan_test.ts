import assert from "node:assert/strict";
import { planStdio } from "./stdio_plan.ts";

const none = { stdin: "", stdout: "", stderr: "", terminal: false };

Deno.test("planStdio() opens nothing for empty fields, and paths for plain ones", () => {
  assert.deepEqual(planStdio(none), {});
  const paths = { stdin: "/f/in", stdout: "/f/a%20b?c", stderr: "/f/err" };
  assert.deepEqual(planStdio({ ...none, ...paths }), {
    stdin: "/f/in",
    stdout: { kind: "path", path: "/f/a%20b?c" },
    stderr: { kind: "path", path: "/f/err" },
  });
});

Deno.test("planStdio() takes fifo:// for a path, and no stderr beside a terminal", () => {
  const fields = { ...none, stdout: "fifo:///f/out", stderr: "fifo:///f/err" };
  assert.deepEqual(planStdio(fields), {
    stdout: { kind: "path", path: "/f/out" },
    stderr: { kind: "path", path: "/f/err" },
  });
  assert.deepEqual(planStdio({ ...fields, terminal: true }), { stdout: { kind: "path", path: "/f/out" } });
});

Deno.test("planStdio() sends both outputs to the file of a file:// URI, with its escapes resolved", () => {
  const file = { kind: "file", path: "/var/log/a b" };
  assert.deepEqual(planStdio({ ...none, stdout: "file:///var/log/a%20b" }), { stdout: file, stderr: file });
});

Deno.test("planStdio() makes a logger's arguments of its query: each key once, with its first value", () => {
  const stdout = "binary:///usr/bin/log?b=1&a=x%2Fy+z&b=2&flag#ignored";
  assert.deepEqual(planStdio({ ...none, stdout }).logger, {
    path: "/usr/bin/log",
    args: ["b", "1", "a", "x/y z", "flag", ""],
    saysReady: false,
  });
  assert.equal(planStdio({ ...none, stdout: "binary-v2:///usr/bin/log" }).logger?.saysReady, true);
});

Deno.test("planStdio() refuses schemes that there are not and escapes that mean nothing", () => {
  assert.throws(() => planStdio({ ...none, stdout: "npipe:////./pipe/x" }), {
    code: "Unknown",
    message: "unknown STDIO scheme npipe",
  });
  assert.throws(() => planStdio({ ...none, stdout: "file:///%zz" }), /invalid URL escape/);
});
