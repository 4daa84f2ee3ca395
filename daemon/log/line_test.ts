import { equal } from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { type Entry, jsonLine, textLine } from "./line.ts";

const time = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 67));
const entry = (message: string, fields: Entry["fields"] = {}): Entry => ({ time, level: "info", message, fields });

Deno.test("textLine() writes as containerd does", () => {
  // The first is a line of containerd 1.6 itself, but for time and id.
  const cases: readonly [Entry, string][] = [
    [
      entry('loading plugin "io.containerd.content.v1.content"...', { type: "io.containerd.content.v1" }),
      'msg="loading plugin \\"io.containerd.content.v1.content\\"..." type=io.containerd.content.v1',
    ],
    [
      entry("serving...", { address: "/run/containerd/containerd.sock" }),
      "msg=serving... address=/run/containerd/containerd.sock",
    ],
    [entry("", { b: "", a: undefined, c: null }), "msg= b= c=null"],
    [entry("m", { z: 1, a: true, level: "x", msg: "y" }), "msg=m a=true fields.level=x fields.msg=y z=1"],
    [entry("m", { error: new Failure("NotFound", "no such file") }), 'msg=m error="no such file"'],
    [
      entry("a\nb\t\x07\x1b\x7f\\ é\u00a0\u200b\u{10ffff} 日"),
      'msg="a\\nb\\t\\a\\x1b\\x7f\\\\ é\\u00a0\\u200b\\U0010ffff 日"',
    ],
    [entry("m", { object: { a: [1] } }), 'msg=m object="{\\"a\\":[1]}"'],
  ];
  for (const [given, text] of cases) {
    equal(textLine(given), `time="2026-01-02T03:04:05.067000000Z" level=info ${text}`);
  }
});

Deno.test("jsonLine() writes as containerd does", () => {
  const line = jsonLine(entry('a "<b>" & c\n', { address: "/x", n: 5, on: false, error: new Error("e"), time: "t" }));
  equal(
    line,
    '{"address":"/x","error":"e","fields.time":"t","level":"info","msg":"a \\"\\u003cb\\u003e\\" \\u0026 c\\n","n":5,"on":false,"time":"2026-01-02T03:04:05.067000000Z"}',
  );
});

Deno.test("textLine() and jsonLine() bound what they write, and write what cannot be printed", () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  for (const line of [textLine, jsonLine]) {
    const text = line(entry("x".repeat(1e6), { a: "y".repeat(1e6), circle }));
    equal(text.length < 20_000 && text.includes("xxx… (991808 more)"), true, text.slice(-300));
    equal(text.includes("not printable") && !text.includes("\n"), true);
  }
});
