import { deepEqual, equal } from "node:assert/strict";
import { readDocument } from "./document.ts";
import { showProblem } from "./problem.ts";
import { readTable } from "./read_table.ts";
import type { Schema } from "./schema.ts";

const schema = {
  share: { type: "float", default: 0.5, min: 0, max: 1, about: "" },
  how_many: { type: "int", default: 3, min: 0, about: "" },
  wait: { type: "duration", default: "1m", about: "" },
  mode: { type: "string", default: "", choices: ["fast", "slow"], about: "" },
  on: { type: "bool", default: true, about: "" },
  names: { type: "strings", default: ["a"], about: "" },
  inner: { type: "table", about: "", fields: { depth: { type: "int", default: 1, about: "" } } },
  blocks: { type: "tables", about: "", fields: { name: { type: "string", default: "?", about: "" } } },
  by_name: { type: "map", about: "", of: { type: "duration", default: "0s", about: "" } },
  later: { type: "bool", default: false, about: "", ineffective: "nothing does it" },
  old: { type: "string", default: "", about: "", deprecated: "use mode" },
  fixed: { type: "int", default: 3, about: "", ineffective: "it is always 3" },
} as const satisfies Schema;

async function read(text: string) {
  const problems: string[] = [];
  const table = await readDocument(text, "f");
  const values = readTable(
    schema,
    table,
    [],
    (problem) => problems.push(`${problem.severity} ${showProblem(problem)}`),
  );
  return { values, problems };
}

Deno.test("readTable() gives defaults where nothing is written", async () => {
  const { values, problems } = await read("");
  const { byName, ...rest } = values;
  deepEqual(rest, {
    share: 0.5,
    howMany: 3,
    wait: 60_000,
    mode: "",
    on: true,
    names: ["a"],
    inner: { depth: 1 },
    blocks: [],
    later: false,
    old: "",
    fixed: 3,
  });
  equal(byName.size, 0);
  deepEqual(problems, []);
});

Deno.test("readTable() reads what is written", async () => {
  const { values, problems } = await read(
    "share = 1\nhow_many = 0\nwait = '1.5s'\nmode = 'slow'\non = false\nnames = []\ninner.depth = 7\nby_name.x = '2s'\n[[blocks]]\nname = 'b'\n[[blocks]]",
  );
  deepEqual(problems, []);
  deepEqual([values.share, values.howMany, values.wait, values.mode, values.on, values.names], [
    1,
    0,
    1500,
    "slow",
    false,
    [],
  ]);
  deepEqual([values.inner.depth, values.byName.get("x"), values.blocks], [7, 2000, [{ name: "b" }, { name: "?" }]]);
});

const wrong: readonly [text: string, problem: string][] = [
  ["share = 'x'", 'error f:1:1: share is the string "x": want a number from 0 to 1, such as 0.5'],
  ["share = 1.5", "error f:1:1: share is the number 1.5: want a number from 0 to 1, such as 0.5"],
  ["share = nan", "error f:1:1: share is the number NaN: want a number from 0 to 1, such as 0.5"],
  ["how_many = 1.0", "error f:1:1: how_many is the number 1: want a whole number from 0, such as 3"],
  ["how_many = -1", "error f:1:1: how_many is the number -1: want a whole number from 0, such as 3"],
  [
    "how_many = 9223372036854775807",
    "error f:1:1: how_many is the number 9223372036854775807: want a whole number from 0, such as 3",
  ],
  ["\n wait = 5", 'error f:2:2: wait is the number 5: want a duration, such as "1m"'],
  ["wait = '5'", 'error f:1:1: wait is the string "5": want a duration, such as "1m"'],
  ["mode = 'fats'", 'error f:1:1: mode is the string "fats": want one of "fast", "slow"'],
  ["mode = ['fast']", "error f:1:1: mode is a list: want a string"],
  ["on = 'yes'", 'error f:1:1: on is the string "yes": want true or false'],
  ["on = 1979-05-27", "error f:1:1: on is the date 1979-05-27: want true or false"],
  ["names = 'a'", 'error f:1:1: names is the string "a": want a list of strings, such as ["one", "two"]'],
  ["names = ['a',\n 5]", "error f:2:2: names[1] is the number 5: want a string"],
  ["inner = true", "error f:1:1: inner is true: want a table"],
  ["inner.dept = 1", "problem f:1:7: unknown key inner.dept: did you mean depth?"],
  ["blocks = 1", "error f:1:1: blocks is the number 1: want a list of tables, as [[blocks]] begins them"],
  ["[blocks]\nx = 1", "error f:1:2: blocks is a table: want a list of tables, as [[blocks]] begins them"],
  ["by_name.x = true", 'error f:1:9: by_name.x is true: want a duration, such as "10s"'],
  ["howmany = 1", "problem f:1:1: unknown key howmany: did you mean how_many?"],
  ["'x y' = 1", "problem f:1:1: unknown key 'x y': it is ignored"],
  ["__proto__ = 1", "problem f:1:1: unknown key __proto__: it is ignored"],
  ["toString = 1", "problem f:1:1: unknown key toString: it is ignored"],
  ["later = true", "problem f:1:1: later has no effect: nothing does it"],
  ["fixed = 4", "problem f:1:1: fixed has no effect: it is always 3"],
  ["old = 'x'", "problem f:1:1: old is deprecated and has no effect: use mode"],
];

Deno.test("readTable() names the place, what is, and what would be right", async () => {
  for (const [text, problem] of wrong) deepEqual((await read(text)).problems, [problem], text);
});

Deno.test("readTable() keeps quiet about keys without effect that say nothing", async () => {
  deepEqual((await read("old = ''\nlater = false\nfixed = 3")).problems, []);
});
