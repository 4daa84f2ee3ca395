import assert from "node:assert/strict";
import { parseSpare, type SpareMessage, spareText } from "./spare_message.ts";

Deno.test("parseSpare() reads what spareText() has written, and nothing else", () => {
  const subject = {
    ...{ namespace: "n", id: "i", bundle: "/b", address: "/c.sock", ttrpcAddress: "/t", publishBinary: "/bin/barge" },
    ...{ debug: true, grouping: "namespace" as const, places: 7 },
  };
  const messages: SpareMessage[] = [
    { says: "ready", version: "1" },
    { says: "serve", work: { subject, socket: "/s", shimCgroup: "/barge", deposit: "/d" } },
    { says: "serves" },
    { says: "failed", reason: "no such cgroup" },
  ];
  for (const message of messages) assert.deepEqual(parseSpare(spareText(message)), message);
  for (const text of ["", "null", "[]", '{"says":"go"}', '{"says":"ready"}', '{"says":"serve","work":{"subject":1}}']) {
    assert.throws(() => parseSpare(text), { code: "InvalidArgument" }, text);
  }
  const serve = spareText(messages[1]!);
  assert.throws(() => parseSpare(serve.replace(':"namespace"', ':"planet"')), {
    code: "InvalidArgument",
    message: /planet/,
  });
  assert.throws(() => parseSpare(serve.replace('"places":7', '"places":0')), { message: /SHIM_PLACES is "0"/ });
});
