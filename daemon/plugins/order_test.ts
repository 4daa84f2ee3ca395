import { deepEqual, throws } from "node:assert/strict";
import { orderPlugins } from "./order.ts";
import { definePlugin } from "./plugin.ts";
import { pluginType } from "./types.ts";

/** `a.1 b *` is the plugin 1 of type a, which requires all of type b, and everything else. */
function table(...rows: string[]) {
  return rows.map((row) => {
    const [name, ...requires] = row.split(" ");
    const [type, id] = name!.split(".");
    return definePlugin({
      type: pluginType<undefined>(type!),
      id: id!,
      requires: requires.map((required) => required === "*" ? required : pluginType<unknown>(required)),
      init: () => undefined,
    });
  });
}

const ordered = (rows: string[], disabled: string[] = []) =>
  orderPlugins(table(...rows), new Set(disabled)).map(({ type, id }) => `${type.name}.${id}`);

Deno.test("orderPlugins() puts what is required first, else keeps the table's order", () => {
  deepEqual(ordered(["a.1 c b", "b.1", "b.2 d", "c.1 b", "d.1", "e.1"]), ["b.1", "d.1", "b.2", "c.1", "a.1", "e.1"]);
});

Deno.test("orderPlugins() takes types that nobody offers for absent", () => {
  deepEqual(ordered(["a.1 x", "b.1"]), ["a.1", "b.1"]);
});

Deno.test("orderPlugins() leaves out what is disabled, and what only that required", () => {
  deepEqual(ordered(["a.1 b", "b.1 c", "c.1"], ["b.1"]), ["a.1", "c.1"]);
});

Deno.test("orderPlugins() puts plugins that require everything last, in the table's order", () => {
  deepEqual(ordered(["s.1 *", "a.1 b", "s.2 *", "b.1"]), ["b.1", "a.1", "s.1", "s.2"]);
});

Deno.test("orderPlugins() lets a plugin require others of its own type", () => {
  deepEqual(ordered(["a.1 a", "a.2"]), ["a.2", "a.1"]);
});

Deno.test("orderPlugins() refuses circles and URIs that are there twice", () => {
  throws(() => ordered(["x.1", "a.1 b", "b.1 c", "c.1 a"]), /plugins wait for each other: a\.1 → b\.1 → c\.1 → a\.1/);
  throws(() => ordered(["a.1", "a.1"]), /the table of plugins has "a\.1" twice/);
});
