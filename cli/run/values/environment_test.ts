import { deepStrictEqual as equal, throws } from "node:assert/strict";
import { parseEnvironmentFile, parseVariable, resolveEnvironment } from "./environment.ts";

Deno.test("parseEnvironmentFile() takes values as they stand and skips comments", () => {
  const text = '\uFEFFA=1\n# B=2\n\n  C= "x" # no comment\nD\r\nE=\nF=a=b\n';
  equal(parseEnvironmentFile(text, "env"), [
    { name: "A", value: "1" },
    { name: "C", value: ' "x" # no comment' },
    { name: "D" },
    { name: "E", value: "" },
    { name: "F", value: "a=b" },
  ]);
});

Deno.test("parseEnvironmentFile() names file and line of a bad name", () => {
  throws(() => parseEnvironmentFile("A=1\nB C=2", "my.env"), /line 2 of the environment file my.env has white space/);
  throws(() => parseEnvironmentFile("=2", "my.env"), /line 1 of the environment file my.env has no variable name/);
});

Deno.test("resolveEnvironment() puts flags over files and asks the caller for bare names", () => {
  const caller = (name: string) => ({ HOME: "/me", TERM: "vt100" })[name];
  const files = [parseEnvironmentFile("A=file\nB=file\nTERM\nGONE", "env")];
  const { set, unset } = resolveEnvironment(files, ["B=flag", "HOME", "LOST", "A"].map(parseVariable), caller);
  equal([...set], [["B", "flag"], ["TERM", "vt100"], ["HOME", "/me"]]);
  equal([...unset], ["LOST", "A"]);
});
