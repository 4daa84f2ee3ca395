import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { compileFilters } from "./compile.ts";
import { parseFilter } from "./parse.ts";
import { compileRegexp } from "./regexp.ts";

const seed = Number(Deno.env.get("BARGE_FUZZ_SEED") ?? Date.now() % 2 ** 32) >>> 0;

/** A generator of numbers below its argument (linear congruence). */
function generator(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

const quote = (text: string) =>
  `"${
    text.replace(/["\\]|[^ -~]/gu, (it) =>
      /["\\]/.test(it) ? `\\${it}` : `\\U${it.codePointAt(0)!.toString(16).padStart(8, "0")}`)
  }"`;

Deno.test(`parseFilter() gives back what was written, and answers garbage with InvalidArgument (seed ${seed})`, () => {
  const random = generator(seed);
  const pieces = [
    "a",
    "b1",
    "é",
    "\u{1F600}",
    '"',
    "\\",
    "/",
    "|",
    ".",
    ",",
    "=",
    "==",
    "!=",
    "~=",
    "!",
    " ",
    "\n",
    "\\x4",
    "\t",
  ];
  const text = (most: number) => Array.from({ length: random(most) }, () => pieces[random(pieces.length)]).join("");
  for (let round = 0; round < 3000; round++) {
    const selectors = Array.from({ length: 1 + random(3) }, () => ({
      path: Array.from({ length: 1 + random(3) }, () => text(3)),
      operator: (["present", "==", "!=", "~="] as const)[random(4)]!,
      value: text(4),
    })).map((it) => it.operator === "present" ? { ...it, value: "" } : it);
    const written = selectors.map(({ path, operator, value }) =>
      path.map(quote).join(".") + (operator === "present" ? "" : operator + quote(value))
    ).join(",");
    assert.deepEqual(parseFilter(written), selectors, `seed ${seed}: ${written}`);
    const garbage = text(12);
    try {
      compileFilters([garbage])((path) => path[0]);
    } catch (error) {
      assert.ok(error instanceof Failure && error.code === "InvalidArgument", `seed ${seed}: ${garbage}: ${error}`);
    }
  }
});

Deno.test(`compileRegexp() agrees with the engine of JavaScript where their syntax is the same (seed ${seed})`, () => {
  const random = generator(seed);
  const atoms = [
    "a",
    "b",
    "é",
    ".",
    "\\d",
    "\\w",
    "\\W",
    "\\b",
    "\\B",
    "^",
    "$",
    "[ab]",
    "[^a]",
    "[a-c]",
    "\\n",
    "\\.",
  ];
  const build = (depth: number): string => {
    let pattern = "";
    for (let count = random(4); count >= 0; count--) {
      const atom = depth > 0 && random(3) === 0
        ? `(${"?:".repeat(random(2))}${build(depth - 1)}${random(2) === 0 ? `|${build(depth - 1)}` : ""})`
        : atoms[random(atoms.length)]!;
      const repeats = /^[\^$]|^\\[bB]/.test(atom) ? "" : ["", "", "*", "+?", "?", "{2}", "{1,}", "{0,2}"][random(8)];
      pattern += atom + repeats;
    }
    return pattern;
  };
  for (let round = 0; round < 3000; round++) {
    const pattern = build(2);
    const found = compileRegexp(pattern);
    assert.ok(found, `seed ${seed}: ${pattern}`);
    // Lines end at \n only in RE2; the texts have no other ends.
    const peer = new RegExp(pattern, "u");
    for (let count = 0; count < 4; count++) {
      const text = Array.from({ length: random(7) }, () => ["a", "b", "c", "é", "1", "\n", ".", "_"][random(8)]).join(
        "",
      );
      assert.equal(found(text), peer.test(text), `seed ${seed}: ${pattern} in ${JSON.stringify(text)}`);
    }
  }
});
