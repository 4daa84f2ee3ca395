import assert from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { compileRegexp } from "./regexp.ts";

// Pattern, texts that hold a match, texts that do not. Go's regexp agrees.
const patterns: [string, string[], string[]][] = [
  ["^docker\\.io/.*:3\\.\\d+$", ["docker.io/library/alpine:3.19"], ["docker_io/a:3.1", "docker.io/a:3.1\n"]],
  ["(?i)alpine", ["ALPINE"], ["alpin"]],
  ["a(?i)b", ["aB"], ["AB"]],
  ["a(?i:b)c", ["aBc"], ["aBC"]],
  ["(?m)^b$", ["a\nb\nc"], ["ab"]],
  ["(?s)a.b", ["a\nb"], ["ab"]],
  ["a.b", ["a\u{1F600}b"], ["a\nb"]],
  ["\\Aab\\z", ["ab"], ["ab\n"]],
  ["\\bweb\\b", ["the web-server"], ["webs", "éweb2"]],
  ["\\Bx", ["ax"], ["x"]],
  ["^[[:alpha:]_]+$", ["abc_"], ["ab1"]],
  ["^[[:^digit:]]$", ["é"], ["1"]],
  ["^\\pN+\\p{Greek}$", ["1٣α"], ["1a"]],
  ["^\\PN$", ["a"], ["1"]],
  ["^[^\\d-z]$", ["a"], ["-", "z", "5"]],
  ["^[]a-]+$", ["]-a"], ["b"]],
  ["\\Qa.b*\\E+", ["a.b**"], ["aXb"]],
  ["^\\x41\\x{e9}\\101\\n$", ["AéA\n"], ["A"]],
  ["^(?:ab|c){2,3}?$", ["abc", "ccc"], ["c", "cccc"]],
  ["^(?P<name>a)(?<other>b)$", ["ab"], ["a"]],
  ["a{,2}", ["a{,2}"], ["aa"]],
  ["^(a*)*$", ["aaa", ""], ["b"]],
  ["a*(?i)*B", ["b"], ["c"]],
  ["", ["", "a"], []],
  ["(?i)k", ["\u212a"], ["c"]],
];

Deno.test("compileRegexp() finds what RE2 finds", () => {
  for (const [pattern, yes, no] of patterns) {
    const found = compileRegexp(pattern);
    assert.ok(found, pattern);
    for (const text of yes) assert.equal(found(text), true, `${pattern} in ${JSON.stringify(text)}`);
    for (const text of no) assert.equal(found(text), false, `${pattern} in ${JSON.stringify(text)}`);
    // The second time everything is remembered.
    for (const text of yes) assert.equal(found(text), true, `${pattern} again`);
  }
});

Deno.test("compileRegexp() refuses what RE2 calls invalid", () => {
  const invalid = [
    "[",
    "(",
    ")",
    "*a",
    "a**",
    "a{2}{3}",
    "a{2,1}",
    "a{1001}",
    "\\1",
    "\\8",
    "\\",
    "[z-a]",
    "(?<=a)",
    "(?=a)",
  ]
    .concat(["\\p{Foo}", "[[:foo:]]", "(?i", "(?-)", "\\C", "\\Z", "\\x{110000}", "(?P<x>a)(?P<x>b)", "(?P<>a)", "a++"])
    .concat(["(((a{100}){100}){100})", "((){1000}){1000}", "(".repeat(300) + ")".repeat(300)]);
  for (const pattern of invalid) assert.equal(compileRegexp(pattern), undefined, pattern);
});

Deno.test("compileRegexp() is linear where a backtracking engine is not", () => {
  const start = performance.now();
  for (const pattern of ["^(a+)+$", "^(a|a)*$", "^(a*)*b$", "(x+x+)+y"]) {
    assert.equal(compileRegexp(pattern)!("a".repeat(4000) + "x".repeat(4000) + "!"), false);
  }
  const timeMs = performance.now() - start;
  assert.ok(timeMs < 2000, `${timeMs} ms`);
});

Deno.test("compileRegexp() gives up where pattern and text are made to be slow", () => {
  const found = compileRegexp("(a|b)*a(a|b){900}c")!;
  let state = 1;
  const bit = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 31;
  const hostile = Array.from({ length: 20_000 }, () => "ab"[bit()]).join("");
  assert.throws(() => found(hostile), (error) => isFailure(error, "ResourceExhausted"));
  assert.equal(found("ab"), false);
});
