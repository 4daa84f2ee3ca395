import assert from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { parseFilter } from "./parse.ts";

Deno.test("parseFilter() reads fields, operators and values", () => {
  const read: [string, ...unknown[][]][] = [
    [""],
    ["name", [["name"], "present", ""]],
    ['"na me"', [["na me"], "present", ""]],
    ["name==a,id!=b", [["name"], "==", "a"], [["id"], "!=", "b"]],
    ["name, id", [["name"], "present", ""], [["id"], "present", ""]],
    ["name. a", [["name", "a"], "present", ""]],
    ["  name== a", [["name"], "==", "a"]],
    ['labels."a.b/c"==v:1/2', [["labels", "a.b/c"], "==", "v:1/2"]],
    ["name==a==b", [["name"], "==", "a==b"]],
    ["name==a!=b.c", [["name"], "==", "a!=b.c"]],
    ['name==a"b', [["name"], "==", 'a"b']],
    ["name=='a'", [["name"], "==", "'a'"]],
    ["name==\\", [["name"], "==", "\\"]],
    ["name==\x01", [["name"], "==", "\x01"]],
    ["name==é,a", [["name"], "==", "é"], [["a"], "present", ""]],
    ['""', [[""], "present", ""]],
    ["name~=a|b", [["name"], "~=", "a|b"]],
    ['name~=/a"b/', [["name"], "~=", 'a"b']],
    ['name~=|a"b|', [["name"], "~=", 'a"b']],
    ["name~=/a\\/b/", [["name"], "~=", "a/b"]],
    ["name~=|\\||", [["name"], "~=", "|"]],
    ["name~=//", [["name"], "~=", ""]],
    ['name=="\\a\\b\\f\\n\\r\\t\\v\\\\\\""', [["name"], "==", '\x07\b\f\n\r\t\v\\"']],
    ['name=="\\x41\\101\\u00e9\\U0001F600"', [["name"], "==", "AAé😀"]],
    ['name=="\\xc3\\xa9\\1234"', [["name"], "==", "éS4"]],
    ['name=="\\xff"', [["name"], "==", "\ufffd"]],
  ];
  for (const [text, ...selectors] of read) {
    const expected = selectors.map(([path, operator, value]) => ({ path, operator, value }));
    assert.deepEqual(parseFilter(text), expected, text);
  }
});

// What containerd 1.6.20 answers to these.
const answers: Readonly<Record<string, string>> = {
  'name=="a"x': '[name=="a" >|x|< ]: unexpected input: x',
  "name==/a/": "[name== >|/|< a/]: invalid quote encountered",
  "name=": '[name >|=|< ]: unsupported operator "="',
  "name==": "[name==]: expected value or quoted",
  "name== ": "[name== ]: expected value or quoted",
  "name~=|a": "[name~= >|||< a]: quoted literal not terminated",
  'name=="a': '[name== >|"|< a]: quoted literal not terminated',
  'name=="a\nb"': '[name== >|"|< a\nb"]: quoted literal not terminated',
  "name==a,,": "[name==a, >|,|< ]: expected field or quoted",
  "name==a,": "[name==a,]: expected field or quoted",
  "name=!a": '[name >|=|< !a]: unsupported operator "=!"',
  "name===a": '[name >|=|< ==a]: unsupported operator "==="',
  "name== =a": "[name==  >|=|< a]: expected value or quoted",
  "name.": "[name.]: expected field or quoted",
  ".name": "[ >|.|< name]: expected field or quoted",
  "name==.a": "[name== >|.|< a]: expected value or quoted",
  "name==a b": "[name==a >| |< b]: unexpected input:  ",
  "name==a\nb": "[name==a >|\n|< b]: unexpected input: \n",
  "!": "[ >|!|< ]: expected field or quoted",
  "name!a": '[name >|!|< a]: unsupported operator "!"',
  'name=="\\q': '[name== >|"|< \\q]: illegal escape sequence',
  'name=="\\x4g"': '[name== >|"|< \\x4g"]: illegal numeric escape sequence',
  '"\\u12"': '[ >|"|< \\u12"]: illegal numeric escape sequence',
  '"\\400"': '[ >|"|< \\400"]: unquoting failed: quote syntax error',
  '"\\U00110000"': '[ >|"|< \\U00110000"]: unquoting failed: quote syntax error',
  '"\\\'"': '[ >|"|< \\\'"]: illegal escape sequence',
  '"\\': '[ >|"|< \\]: illegal escape sequence',
  "name~=/\\q/": "[name~= >|/|< \\q/]: illegal escape sequence",
  "näme==a": '[n >|\ufffd|< \ufffdme==a]: expected an operator ("=="|"!="|"~=")',
  "é": "[ >|\ufffd|< \ufffd]: expected field or quoted",
  "na-me==x": '[na >|-|< me==x]: expected an operator ("=="|"!="|"~=")',
  "name a": '[name  >|a|< ]: expected an operator ("=="|"!="|"~=")',
  "name ,id": '[name  >|,|< id]: expected an operator ("=="|"!="|"~=")',
  "name ": '[name ]: expected an operator ("=="|"!="|"~=")',
  '"a"b': '["a" >|b|< ]: expected an operator ("=="|"!="|"~=")',
  'name=="a",foo-bar': '[name=="a",foo >|-|< bar]: expected an operator ("=="|"!="|"~=")',
  "/a/==b": "[ >|/|< a/==b]: invalid quote encountered",
  "  ": "[  ]: expected field or quoted",
  "name==\ufffd": "[name== >|\ufffd|< \ufffd\ufffd]: rune error",
};

Deno.test("parseFilter() answers bad filters in containerd's words", () => {
  for (const [text, answer] of Object.entries(answers)) {
    const message = `filters: parse error: ${answer}`;
    assert.throws(
      () => parseFilter(text),
      (error) => isFailure(error, "InvalidArgument") && (assert.equal(error.message, message), true),
    );
  }
});
