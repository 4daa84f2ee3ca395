import assert from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { type HookFunctions, renderTemplate } from "./hook_template.ts";

const functions: HookFunctions = {
  id: { takes: 0, give: () => "one" },
  annotation: { takes: 1, give: (key) => `<${key}>` },
};

Deno.test("renderTemplate() replaces calls, pipes and comments as Go does", () => {
  const cases: [string, string][] = [
    ["plain {}} } text", "plain {}} } text"],
    ["--id={{id}}/{{ id }}", "--id=one/one"],
    [`{{annotation "a b"}}{{ annotation \`c"\` }}`, `<a b><c">`],
    [`{{annotation "}}\\"\\u0041"}}`, `<}}"A>`],
    [`{{ "x" | annotation }}{{ id | annotation }}{{ annotation id }}`, "<x><one><one>"],
    [`{{"text"}}`, "text"],
    ["a \n{{- id -}} \t b", "aoneb"],
    ["a{{/* a comment */}}b{{- /* x */ -}} c", "abc"],
  ];
  for (const [text, expected] of cases) {
    assert.equal(renderTemplate(text, functions), expected, text);
  }
});

Deno.test("renderTemplate() refuses what it does not know, and is not slow", () => {
  const cases: [string, RegExp][] = [
    ["{{id", /unclosed action/],
    ["{{}}", /missing value for command/],
    ["{{nothing}}", /function "nothing" not defined: there are id, annotation/],
    ["{{toString}}", /function "toString" not defined/],
    ["{{id id}}", /wrong number of args for id: want 0 got 1/],
    ["{{annotation}}", /wrong number of args for annotation: want 1 got 0/],
    ["{{.State}}", /unexpected "\.State" in command/],
    ["{{if id}}x{{end}}", /function "if" not defined/],
    [`{{"a" "b"}}`, /"a" is no function/],
    [`{{annotation "\\q"}}`, /bad string/],
  ];
  for (const [text, pattern] of cases) {
    assert.throws(
      () => renderTemplate(text, functions),
      (error) => isFailure(error, "InvalidArgument") && pattern.test(error.message),
      text,
    );
  }
  const begin = performance.now();
  renderTemplate(" ".repeat(1 << 20), functions);
  assert.throws(() => renderTemplate(`{{${" ".repeat(1 << 20)}x y`, functions));
  assert(performance.now() - begin < 1000);
});
