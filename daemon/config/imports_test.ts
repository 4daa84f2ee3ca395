import { deepEqual, equal } from "node:assert/strict";
import { cleanPath, expandImport } from "./imports.ts";

Deno.test("cleanPath() cleans as Go does", () => {
  for (
    const [path, clean] of [
      ["/a//b/./c/../d/", "/a/b/d"],
      ["/../a", "/a"],
      ["../../a/..", "../.."],
      ["a/..", "."],
      ["", "."],
      ["/", "/"],
    ] as const
  ) equal(cleanPath(path), clean, path);
});

Deno.test("expandImport() matches as Go's filepath.Glob, in order", async () => {
  const directory = await Deno.makeTempDir();
  try {
    for (const name of ["b.toml", "a.toml", ".h.toml", "[x].toml", "sub1/c.toml", "sub2/c.toml", "sub2/d.conf"]) {
      await Deno.mkdir(`${directory}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${directory}/${name}`, "");
    }
    const matches = async (entry: string) =>
      (await expandImport(entry, `${directory}/main.toml`)).map((path) => path.slice(directory.length + 1));
    const cases: readonly [string, string[]][] = [
      ["*.toml", [".h.toml", "[x].toml", "a.toml", "b.toml"]],
      ["[a-b]*.toml", ["a.toml", "b.toml"]],
      ["[^a]*l", [".h.toml", "[x].toml", "b.toml"]],
      ["?.tom*", ["a.toml", "b.toml"]],
      ["\\[x\\]*", ["[x].toml"]],
      ["*/c.toml", ["sub1/c.toml", "sub2/c.toml"]],
      ["sub*/*.conf", ["sub2/d.conf"]],
      ["none/*.toml", []],
      ["a.toml/*", []],
      ["[b-a]*", []],
      ["(*", []],
      // Without a star it is a name, whatever else is in it.
      ["[x].toml", ["[x].toml"]],
      ["sub1/../gone.toml", ["gone.toml"]],
    ];
    for (const [entry, expected] of cases) deepEqual(await matches(entry), expected, entry);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
