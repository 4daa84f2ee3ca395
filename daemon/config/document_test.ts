import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { dice, fuzzSeed } from "./dice_fixture.ts";
import { readDocument } from "./document.ts";
import { writeDocument } from "./write.ts";
import { type Item, itemAt, showOrigin } from "./tree.ts";

const example = `# A comment with a [table] in it
version = 2
root = "/var/lib/with \\"quotes\\" # and more"
"quoted.key" = 'lit\\eral'

[plugins]
  [plugins."io.containerd.gc.v1.scheduler"]
    pause_threshold = 0.5 # half
  [plugins.'io.containerd.grpc.v1.cri'.containerd]
    list = [
      "one", # first
      "two",
    ]
    inline = { a = 1, b.c = [true, { d = 0x10 }] }
[[blocks]]
text = """
[not.a.table]
"""
[[blocks]]
  name.first = "x"
[[blocks.inner]]
  y = 1979-05-27
[later.implied]
[later]
z = 1
`;

const places: readonly [path: string[], line: number, column: number][] = [
  [["version"], 2, 1],
  [["root"], 3, 1],
  [["quoted.key"], 4, 1],
  [["plugins"], 6, 2],
  [["plugins", "io.containerd.gc.v1.scheduler"], 7, 12],
  [["plugins", "io.containerd.gc.v1.scheduler", "pause_threshold"], 8, 5],
  [["plugins", "io.containerd.grpc.v1.cri", "containerd", "list"], 10, 5],
  [["plugins", "io.containerd.grpc.v1.cri", "containerd", "inline", "b", "c"], 14, 25],
  [["blocks"], 19, 3],
  [["later", "implied"], 23, 8],
  [["later"], 24, 2],
  [["later", "z"], 25, 1],
];

Deno.test("readDocument() knows the line and column of every key", async () => {
  const tree = await readDocument(example, "x.toml");
  for (const [path, line, column] of places) {
    const item = itemAt(tree, ...path);
    equal(item && showOrigin(item.at), `x.toml:${line}:${column}`, path.join(" "));
  }
  const blocks = itemAt(tree, "blocks");
  const names = blocks?.kind === "list" &&
    blocks.items.map((item) => item.kind === "table" && [...item.entries.keys()]);
  deepEqual(names, [["text"], ["name", "inner"]]);
  const list = itemAt(tree, "plugins", "io.containerd.grpc.v1.cri", "containerd", "list");
  deepEqual(list?.kind === "list" && list.items.map(({ at }) => at.line), [11, 12]);
});

Deno.test("readDocument() keeps integers and floats apart", async () => {
  const tree = await readDocument("a = 1\nb = 1.0\nc = 9007199254740993\nd = 1e3", "x");
  deepEqual(["a", "b", "c", "d"].map((key) => itemAt(tree, key)?.kind), ["int", "float", "int", "float"]);
  equal((itemAt(tree, "c") as { value: unknown }).value, 9007199254740993n);
});

Deno.test("readDocument() names file, row and column of a syntax error", async () => {
  const cases = [
    ["version = 2\nroot = ", /^x\.toml:2:\d+: /],
    ["version = 2\nversion = 3", /^x\.toml:2:1: /],
    ["[plugins", /^x\.toml:1:\d+: /],
    ["a = " + "[".repeat(1000), /^x\.toml:1:\d+: /],
    ["b = 1\na" + ".a".repeat(100) + " = 1", /^x\.toml:2:201: more than 100 tables or lists within each other/],
    ["[a" + ".a".repeat(20_000) + "]", /^x\.toml:1:\d+: /],
    ["\ufeffa = 1\nb =\n", /^x\.toml:2:\d+: /],
  ] as const;
  for (const [text, message] of cases) {
    await rejects(readDocument(text, "x.toml"), (error: Error) => {
      match(error.message, message);
      return true;
    });
  }
});

const keys = ["a", "b-1", '"q.x"', "'l[1]'", '"\\u0041\\n"', "1979", "true", '"#"', "__proto__", '""'];
const scalars = [
  "1",
  "0x1f",
  "0.5",
  "inf",
  "true",
  '"s\\"] = #"',
  "'l\\'",
  '"""\nm\n[t]\n\\"""" x"""',
  "'''\n''x''''",
  "1979-05-27T07:32:00Z",
  "1979-05-27 07:32:00",
  '""',
  '"""a"""""',
];

/** Lines that often are a document; what is none is tried as well. */
function document(roll: (n: number) => number): string {
  const pick = <T>(list: readonly T[]) => list[roll(list.length)]!;
  const key = () => Array.from({ length: 1 + roll(3) }, () => pick(keys)).join(pick([".", " . ", "."]));
  const value = (depth: number): string => {
    const kind = depth > 3 ? 9 : roll(10);
    const gap = () => pick(["", " ", "\n", " # ]\n", "\r\n"]);
    if (kind === 0) {
      return `[${Array.from({ length: roll(4) }, () => gap() + value(depth + 1) + gap()).join(",")}${gap()}]`;
    }
    if (kind === 1) {
      return `{ ${Array.from({ length: roll(3) }, () => `${pick(keys)} = ${value(depth + 1)}`).join(", ")} }`;
    }
    return pick(scalars);
  };
  const lines = Array.from({ length: 1 + roll(6) }, () => {
    const kind = roll(12);
    const indent = pick(["", "  ", "\t"]);
    if (kind === 0) return `${indent}[${key()}]`;
    if (kind === 1) return `${indent}[[ ${key()} ]] # "`;
    if (kind === 2) return "# [comment] = 1";
    return `${indent}${key()}${pick([" = ", "=", "= "])}${value(0)}${pick(["", " # c", "\r"])}`;
  });
  return lines.join("\n");
}

/** Each key must stand where the tree says it does. */
function checkPlaces(item: Item, lines: readonly string[], key: string | undefined, text: string): number {
  let seen = 0;
  if (key !== undefined) {
    const written = lines[item.at.line - 1]!.slice(item.at.column - 1);
    const bare = written.startsWith('"')
      ? JSON.parse(/^"(?:\\.|[^"\\])*"/.exec(written)![0])
      : written.startsWith("'")
      ? /^'([^']*)'/.exec(written)![1]
      : /^[\w-]*/.exec(written)![0];
    equal(bare, key, `${key} at ${showOrigin(item.at)} of\n${text}`);
    seen++;
  }
  if (item.kind === "table") {
    for (const [name, entry] of item.entries) {
      seen += checkPlaces(entry, lines, name, text);
    }
  }
  if (item.kind === "list") { for (const entry of item.items) seen += checkPlaces(entry, lines, undefined, text); }
  return seen;
}

Deno.test("readDocument() finds each key of random documents, and names a place in each error", async () => {
  const roll = dice(fuzzSeed());
  let keysSeen = 0, errors = 0;
  for (let round = 0; round < 1200; round++) {
    let text = document(roll);
    if (roll(4) === 0) {
      const at = roll(text.length + 1);
      const noise = ["[", "]", '"', "'''", "=", ".", "\\", "\0", "\ud800", "{", "}", ",", "é"][roll(13)]!;
      text = text.slice(0, at) + noise + text.slice(at + roll(3));
    }
    try {
      const tree = await readDocument(text, "f");
      keysSeen += checkPlaces(tree, text.split("\n"), undefined, text);
      const written = writeDocument(tree);
      equal(writeDocument(await readDocument(written, "g")), written, text);
    } catch (error) {
      if (error instanceof Error && error.name === "AssertionError") throw error;
      match((error as Error).message, /^f:\d+:\d+: ./, `${text}\n${(error as Error).stack}`);
      errors++;
    }
  }
  // Both must happen often, or nothing was tested.
  equal(keysSeen > 500 && errors > 50, true, `${keysSeen} keys, ${errors} errors`);
});
