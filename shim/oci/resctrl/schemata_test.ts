import { deepStrictEqual as equal } from "node:assert/strict";
import { firstDifference, wantedSchemata } from "./schemata.ts";

Deno.test("wantedSchemata() writes caches, bandwidth and schemata in this order, each line ended", () => {
  equal(wantedSchemata({}), "");
  equal(wantedSchemata({ l3CacheSchema: "", memBwSchema: "", schemata: [] }), "");
  equal(wantedSchemata({ l3CacheSchema: "L3:0=f;1=f0" }), "L3:0=f;1=f0\n");
  equal(
    wantedSchemata({ schemata: ["L2:0=3"], memBwSchema: "MB:0=20", l3CacheSchema: "L3DATA:0=f\nL3CODE:0=3\n" }),
    "L3DATA:0=f\nL3CODE:0=3\nMB:0=20\nL2:0=3\n",
  );
});

Deno.test("wantedSchemata() leaves bandwidth among the caches out only where it has a property of its own", () => {
  equal(wantedSchemata({ l3CacheSchema: "L3:0=f\nMB:0=70" }), "L3:0=f\nMB:0=70\n");
  equal(wantedSchemata({ l3CacheSchema: "MB:0=70\nL3:0=f", memBwSchema: "MB:0=20" }), "L3:0=f\nMB:0=20\n");
});

Deno.test("firstDifference() compares what is asked for as the kernel writes it", () => {
  const existing = "    MB:0= 100;1=  20\n    L3:0=000ff;1=fffff\n";
  equal(firstDifference("", existing), undefined);
  equal(firstDifference("L3:0=ff\n", existing), undefined);
  equal(firstDifference("L3: 1=FFFFF; 0=0ff;\nMB:0=100;1=20\n", existing), undefined);
  equal(firstDifference("MB:0=100\nL3:0=f\n", existing), "L3:0=f");
  equal(firstDifference("L3:2=ff\n", existing), "L3:2=ff");
  equal(firstDifference("L2:0=ff\n", existing), "L2:0=ff");
  equal(firstDifference("nonsense\n", existing), "nonsense");
  equal(firstDifference("L3:0=0\n", "L3:0=000\n"), undefined);
});
