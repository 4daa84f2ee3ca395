import { equal } from "node:assert/strict";
import { readDocument } from "./document.ts";
import { mergeConfig } from "./merge.ts";
import { itemAt, showOrigin } from "./tree.ts";
import { writeDocument } from "./write.ts";

async function merged(base: string, over: string): Promise<string> {
  const tree = mergeConfig(await readDocument(base, "a"), await readDocument(over, "b"));
  return writeDocument(tree).trim();
}

const cases: readonly [rule: string, base: string, over: string, result: string][] = [
  [
    "values that are not empty replace",
    "root = 'a'\noom_score = 1",
    "root = 'b'\noom_score = 2",
    "root = 'b'\noom_score = 2",
  ],
  [
    "empty values of the daemon's own fields say nothing",
    "root = 'a'\noom_score = 1\n[debug]\nlog_trace_id = true",
    "root = ''\noom_score = 0\n[debug]\nlog_trace_id = false\nlevel = 'x'",
    "root = 'a'\noom_score = 1\n\n[debug]\n  log_trace_id = true\n  level = 'x'",
  ],
  ["lists are united without repetitions", "imports = ['a', 'b']", "imports = ['c', 'a']", "imports = ['a', 'b', 'c']"],
  [
    "timeouts merge by key",
    "[timeouts]\na = '1s'\nb = '1s'",
    "[timeouts]\nb = '2s'\nc = '0s'",
    "[timeouts]\n  a = '1s'\n  b = '2s'\n  c = '0s'",
  ],
  [
    "proxies are replaced whole",
    "[proxy_plugins.x]\ntype = 't'\naddress = 'a'",
    "[proxy_plugins.x]\naddress = 'b'",
    "[proxy_plugins]\n  [proxy_plugins.x]\n    address = 'b'",
  ],
  [
    "plugins merge table by table, and empty values replace",
    "[plugins.p]\na = true\nl = ['x']\n[plugins.p.t]\nk = 1\nm = 2",
    "[plugins.p]\na = false\nl = []\n[plugins.p.t]\nk = 0",
    "[plugins]\n  [plugins.p]\n    a = false\n    l = []\n\n    [plugins.p.t]\n      k = 0\n      m = 2",
  ],
];

for (const [rule, base, over, result] of cases) {
  Deno.test(`mergeConfig(): ${rule}`, async () => equal(await merged(base, over), result));
}

Deno.test("mergeConfig() tells for each value the file that it comes from, and changes neither tree", async () => {
  const a = await readDocument("root = 'a'\n[plugins.p]\nx = 1\ny = 1", "a");
  const b = await readDocument("state = 's'\n[plugins.p]\ny = 2", "b");
  const before = [writeDocument(a), writeDocument(b)].join();
  const tree = mergeConfig(a, b);
  for (
    const [path, place] of [[["root"], "a:1:1"], [["state"], "b:1:1"], [["plugins", "p", "x"], "a:3:1"], [[
      "plugins",
      "p",
      "y",
    ], "b:3:1"]] as const
  ) {
    const item = itemAt(tree, ...path);
    equal(item && showOrigin(item.at), place);
  }
  equal([writeDocument(a), writeDocument(b)].join(), before);
});
