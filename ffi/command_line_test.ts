import assert from "node:assert/strict";

const script = `
  const { showArguments } = await import(${JSON.stringify(new URL("./command_line.ts", import.meta.url).href)});
  const words = () => Deno.readTextFileSync("/proc/self/cmdline").replace(/\\0+$/, "").split("\\0");
  const before = words();
  const tooLong = showArguments(["x".repeat(10_000)]);
  const unchanged = words();
  const fits = showArguments(["-id", "one"]);
  console.log(JSON.stringify({ before, tooLong, unchanged, fits, after: words(), variable: Deno.env.get("NEIGHBOUR") }));
`;

Deno.test("showArguments() exchanges the command line's last words where there is room for the new ones", async () => {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      "--quiet",
      `data:application/typescript,${encodeURIComponent(script)}`,
      "spare",
      "longer",
    ],
    env: { NEIGHBOUR: "stays" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert(text !== "", new TextDecoder().decode(stderr));
  const { before, tooLong, unchanged, fits, after, variable } = JSON.parse(text);
  assert.equal(tooLong, false);
  assert.deepEqual(unchanged, before);
  assert.equal(fits, true);
  assert.deepEqual(after, [...before.slice(0, -2), "-id", "one"]);
  assert.equal(variable, "stays");
});
