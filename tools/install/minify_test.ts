import assert from "node:assert/strict";
import { bundle } from "./bundle.ts";
import { checkUsing, declarationsOfUsing, minify } from "./minify.ts";

/** Shapes in which a declaration is used once or never, each of which a bundler may think it can do without. */
const shapes = `
export const disposed: string[] = [];
class Thing {
  constructor(readonly name: string) {}
  use() { return this.name; }
  [Symbol.dispose]() { disposed.push(this.name); }
  async [Symbol.asyncDispose]() { await Promise.resolve(); disposed.push(this.name); }
}
const open = (name: string) => new Thing(name);
const take = (thing: Thing) => thing.name;
function once() { using thing = open("once"); return take(thing); }
function method() { using thing = open("method"); return thing.use(); }
function literal() { using thing = { name: "literal", [Symbol.dispose]() { disposed.push("literal"); } }; return thing.name; }
function created() { using thing = new Thing("created"); return take(thing); }
function unused() { using _thing = new Thing("unused"); return "unused"; }
function two() { using first = open("first"); using second = open("second"); return take(first) + take(second); }
function nested() { { using inner = open("inner"); if (inner.name === "") return ""; } return "nested"; }
function loop() { for (using thing of [open("loop")]) return take(thing); return ""; }
async function later() { await using thing = new Thing("later"); return take(thing); }
async function awaited() { await using thing = await Promise.resolve(open("awaited")); return thing.use(); }
function thrown() { using thing = open("thrown"); throw new Error(take(thing)); }
export async function perform(): Promise<string[]> {
  once(); method(); literal(); created(); unused(); two(); nested(); loop();
  await later(); await awaited();
  try { thrown(); } catch { /* It is to throw. */ }
  return disposed;
}
export async function main(): Promise<number> { console.log((await perform()).join(" ")); return 0; }
`;

const wanted = "once method literal created unused second first inner loop later awaited thrown";

Deno.test("bundle() loses no declaration of using", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/shapes.ts`, shapes);
    await Deno.writeTextFile(
      `${directory}/main.ts`,
      `const personalities = {\n  run: () => import("./shapes.ts"),\n};\nDeno.exit(await (await personalities.run()).main([]));\n`,
    );
    await Deno.mkdir(`${directory}/out`);
    await bundle(new URL("../../", import.meta.url), `${directory}/out`, `${directory}/main.ts`);
    const script = `${directory}/out/start-run.js`;
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-lock", script] }).output();
    assert.equal(new TextDecoder().decode(stdout).trim(), wanted);
    // It is shortened all the same.
    assert.equal(declarationsOfUsing(await Deno.readTextFile(script)), declarationsOfUsing(shapes));
    assert.ok((await Deno.readTextFile(script)).split("\n").length < 12);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("minify() shortens scripts in their places, with maps that lead to the sources", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${directory}/a.js`,
      "export function sum(first, second) {\n  return first + second;\n}\n",
    );
    await Deno.writeTextFile(`${directory}/b.js`, "export const value = 1;\n");
    await minify([`${directory}/a.js`, `${directory}/b.js`]);
    assert.match(await Deno.readTextFile(`${directory}/a.js`), /^(?:export )?function \w\(\w,\w\)\{return \w\+\w\}/);
    assert.equal(JSON.parse(await Deno.readTextFile(`${directory}/b.js.map`)).version, 3);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("declarationsOfUsing() counts what is declared and not what is only said", () => {
  const cases: [string, number][] = [
    ["using a = b;", 1],
    ["{using a=b(),c=d();}", 1],
    ["await using $x = f();", 1],
    ["for(using a of b)c(a)", 1],
    ["for (await using a of b) c(a);", 1],
    ["const using = 1; using == 2; a.using = 3", 0],
    ["using of = 1", 0],
    ["let reusing = a; notusing x = 1", 0],
  ];
  for (const [text, count] of cases) assert.equal(declarationsOfUsing(text), count, text);
});

Deno.test("checkUsing() refuses a script that has lost one", () => {
  checkUsing("a.js", "using a = b; use(a);", "using c=b;use(c);");
  assert.throws(
    () => checkUsing("a.js", "using a = b; use(a);", "use(b);"),
    /a\.js: 0 of 1 "using" declarations are left/,
  );
});
