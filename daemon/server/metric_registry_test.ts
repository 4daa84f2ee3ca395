import { equal } from "node:assert/strict";
import { Histogram, MetricRegistry, Value } from "./metric_registry.ts";

Deno.test("MetricRegistry.render() writes families by name, labels escaped, and none without numbers", () => {
  const registry = new MetricRegistry();
  registry.addNumber("gauge", "z_last", "The last\nof \\ all.", () => 1.5);
  registry.addNumber("gauge", "absent", "Not here.", () => undefined);
  const values = [new Value({ b: 'say "x"\n', a: "\\" })];
  values[0]!.add();
  values[0]!.add(2);
  registry.addValues("counter", "a_total", "Counted.", () => values);
  equal(
    registry.render(),
    '# HELP a_total Counted.\n# TYPE a_total counter\na_total{a="\\\\",b="say \\"x\\"\\n"} 3\n' +
      "# HELP z_last The last\\nof \\\\ all.\n# TYPE z_last gauge\nz_last 1.5\n",
  );
});

Deno.test("Histogram counts up to and including each bound, and writes numbers as Go does", () => {
  const registry = new MetricRegistry();
  const histogram = new Histogram({ zone: "x" }, [0.005, 1]);
  for (const seconds of [0.000016511, 0.005, 0.5, 1e22]) histogram.observe(seconds);
  registry.add({ name: "h", help: "H.", type: "histogram", samples: () => histogram.samples() });
  equal(
    registry.render(),
    "# HELP h H.\n# TYPE h histogram\n" +
      'h_bucket{zone="x",le="0.005"} 2\nh_bucket{zone="x",le="1"} 3\nh_bucket{zone="x",le="+Inf"} 4\n' +
      'h_sum{zone="x"} 1e+22\nh_count{zone="x"} 4\n',
  );
  const small = new Histogram({}, []);
  small.observe(0.0000000123);
  registry.add({ name: "h", help: "H.", type: "histogram", samples: () => small.samples() });
  equal(registry.render().includes("h_sum 1.23e-08\n"), true);
});
