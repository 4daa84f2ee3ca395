import assert from "node:assert/strict";
import { concatBytes } from "../../../api/bytes.ts";
import { Failure } from "../../../api/errors.ts";
import { indexMembers, type MemberIndex } from "./member_index.ts";

const encoder = new TextEncoder();

interface Header {
  name: string;
  type?: string;
  size?: number;
  link?: string;
  magic?: string;
  prefix?: string;
  sizeField?: Uint8Array;
}

function header({ name, type = "0", size = 0, link = "", magic = "ustar\x0000", prefix = "", sizeField }: Header) {
  const block = new Uint8Array(512);
  block.set(encoder.encode(name).subarray(0, 100), 0);
  block.set(sizeField ?? encoder.encode(size.toString(8).padStart(11, "0")), 124);
  block[156] = type.charCodeAt(0);
  block.set(encoder.encode(link), 157);
  block.set(encoder.encode(magic), 257);
  block.set(encoder.encode(prefix), 345);
  block.fill(32, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.set(encoder.encode(sum.toString(8).padStart(6, "0") + "\0 "), 148);
  return block;
}

function member(fields: Header, data: string | Uint8Array = ""): Uint8Array[] {
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  const padded = new Uint8Array(Math.ceil(bytes.length / 512) * 512);
  padded.set(bytes);
  return [header({ size: bytes.length, ...fields }), padded];
}

function pax(records: Record<string, string>): Uint8Array[] {
  const lines = Object.entries(records).map(([key, value]) => {
    const body = ` ${key}=${value}\n`;
    const length = encoder.encode(body).length;
    const total = length + String(length + String(length).length).length;
    return `${total}${body}`;
  });
  return member({ name: "PaxHeaders/x", type: "x" }, lines.join(""));
}

function archive(...blocks: Uint8Array[][]): Uint8Array {
  return concatBytes([...blocks.flat(), new Uint8Array(1024)]);
}

function index(bytes: Uint8Array): MemberIndex {
  return indexMembers((offset, length) => bytes.slice(offset, offset + length), bytes.length, 'archive "t"');
}

function textOf(bytes: Uint8Array, name: string): string | undefined {
  const extent = index(bytes).find(name);
  return extent && new TextDecoder().decode(bytes.subarray(extent.offset, extent.offset + extent.size));
}

Deno.test("indexMembers() finds members by clean name, the later of two", () => {
  const bytes = archive(
    member({ name: "./a" }, "old"),
    member({ name: "d//x/../b" }, "B"),
    member({ name: "a" }, "new"),
  );
  assert.equal(textOf(bytes, "a"), "new");
  assert.equal(textOf(bytes, "d/b"), "B");
  assert.equal(textOf(bytes, "none"), undefined);
});

Deno.test("indexMembers() reads ustar prefixes, PAX and GNU names and sizes", () => {
  const long = "n".repeat(180);
  const big = new Uint8Array(12);
  big[0] = 0x80;
  big[11] = 3;
  const bytes = archive(
    member({ name: "f", prefix: "pre/fix" }, "1"),
    member({ name: "old", magic: "ustar  \0", prefix: "12345" }, "2"),
    pax({ path: `pax/${long}`, size: "1" }),
    member({ name: "short", size: 0 }, "3"),
    member({ name: "././@LongLink", type: "L" }, `gnu/${long}\0`),
    member({ name: "short" }, "4"),
    member({ name: "base256", sizeField: big }, "five".slice(0, 3)),
  );
  assert.equal(textOf(bytes, "pre/fix/f"), "1");
  assert.equal(textOf(bytes, "old"), "2");
  assert.equal(textOf(bytes, `pax/${long}`), "3");
  assert.equal(textOf(bytes, `gnu/${long}`), "4");
  assert.equal(textOf(bytes, "base256"), "fiv");
});

Deno.test("MemberIndex.find() follows links among the members only", () => {
  const bytes = archive(
    member({ name: "a/layer.tar" }, "L"),
    member({ name: "b/layer.tar", type: "2", link: "../a/layer.tar" }),
    member({ name: "hard", type: "1", link: "a/layer.tar" }),
    member({ name: "out", type: "2", link: "../../etc/passwd" }),
    member({ name: "abs", type: "2", link: "/etc/passwd" }),
    member({ name: "loop", type: "2", link: "pool" }),
    member({ name: "pool", type: "2", link: "loop" }),
    member({ name: "dir", type: "5" }),
    member({ name: "dev", type: "3" }),
    member({ name: "../../up" }, "never"),
  );
  assert.equal(textOf(bytes, "b/layer.tar"), "L");
  assert.equal(textOf(bytes, "hard"), "L");
  for (const name of ["out", "abs"]) assert.throws(() => index(bytes).find(name), /leads to no member/, name);
  assert.throws(() => index(bytes).find("loop"), /in a circle/);
  assert.throws(() => index(bytes).find("dir"), /is a directory/);
  assert.throws(() => index(bytes).find("dev"), /is special/);
  assert.equal(index(bytes).find("../../up"), undefined);
  assert.equal(index(bytes).find("up"), undefined);
});

Deno.test("indexMembers() refuses sparse members when they are wanted, and reads on behind them", () => {
  const bytes = archive(pax({ "GNU.sparse.major": "1" }), member({ name: "s" }, "x"), member({ name: "t" }, "T"));
  assert.throws(() => index(bytes).find("s"), /is sparse/);
  assert.equal(textOf(bytes, "t"), "T");
});

Deno.test("indexMembers() tells apart what is no archive, broken and cut off", () => {
  const is = (code: string, pattern: RegExp) => (error: unknown) =>
    error instanceof Failure && error.code === code && pattern.test(error.message);
  assert.throws(() => index(encoder.encode("x".repeat(2000))), is("InvalidArgument", /not a tar archive/));
  const good = archive(member({ name: "a" }, "A".repeat(2000)));
  assert.throws(() => index(good.subarray(0, 1500)), is("DataLoss", /cut off/));
  const broken = good.slice();
  broken[512 + 2048] = 7;
  assert.throws(() => index(broken), is("DataLoss", /no tar header at byte 2560/));
  const huge = new Uint8Array(12).fill(0xff);
  assert.throws(() => index(archive([header({ name: "a", sizeField: huge })])), is("DataLoss", /bad size/));
  assert.throws(
    () => index(archive(member({ name: "x", type: "x", size: 2 ** 21 }, new Uint8Array(2 ** 21)))),
    is("ResourceExhausted", /header of/),
  );
  assert.throws(() => index(archive(pax({ size: "1e3" }), member({ name: "x" }))), is("DataLoss", /bad size/));
});

Deno.test("indexMembers() never hangs or fails oddly on random damage", () => {
  const good = archive(pax({ path: "p" }), member({ name: "a" }, "data"), member({ name: "l", type: "2", link: "a" }));
  const seed = Number(Deno.env.get("SEED") ?? Date.now() % 1e9);
  let state = seed;
  const random = (limit: number) => (state = (state * 1103515245 + 12345) % 2 ** 31) % limit;
  for (let round = 0; round < 500; round++) {
    const bytes = good.slice();
    for (let hits = 0; hits < 3; hits++) bytes[random(bytes.length)] = random(256);
    try {
      index(bytes).find("l");
    } catch (error) {
      assert(error instanceof Failure, `seed ${seed}, round ${round}: ${error}`);
    }
  }
});
