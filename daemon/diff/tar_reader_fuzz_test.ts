import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { archive, concat, type FixtureEntry, padded } from "./archive_fixture.ts";
import { type TarEntry, TarReader, type TarSink } from "./tar_reader.ts";

/** xorshift32: small, and the same everywhere for one seed. */
function generator(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Checks what every sink may rely on, and sums up what it got. */
class Checker implements TarSink {
  #entry: TarEntry | undefined;
  #next = 0;
  #sum = 0;
  summary = "";
  entry(entry: TarEntry): void {
    assert.equal(this.#entry, undefined, "an entry begins inside another");
    this.#entry = entry;
    this.#next = 0;
    this.summary += `${entry.type} ${entry.name} ${entry.size}\n`;
  }
  data(bytes: Uint8Array, offset: number): void {
    const entry = this.#entry!;
    assert.ok(bytes.length > 0 && offset >= this.#next, "contents go backwards");
    this.#next = offset + bytes.length;
    if (entry.type === "file") assert.ok(this.#next <= entry.size, "contents beyond the file's end");
    // One number for all contents, however they are cut.
    for (const byte of bytes) this.#sum = (Math.imul(this.#sum, 31) + byte) | 0;
  }
  end(): void {
    this.summary += `contents ${this.#sum}\n`;
    this.#entry = undefined;
  }
}

function outcome(bytes: Uint8Array, cut: () => number): string {
  const checker = new Checker();
  const reader = new TarReader(checker);
  try {
    for (let at = 0; at < bytes.length;) {
      const length = cut();
      reader.push(bytes.subarray(at, at + length));
      at += length;
    }
    reader.end();
    return `${checker.summary}ok`;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return `${checker.summary}${error.code} ${error.message}`;
  }
}

function randomEntry(random: (below: number) => number): FixtureEntry {
  const text = (length: number) => Array.from({ length }, () => "ab/.0\n=é"[random(8)]).join("");
  const types = ["0", "\0", "1", "2", "3", "5", "6", "7", "x", "g", "L", "K", "S"];
  const maps = ["0,1,4,2", "0,9", "5,1", "", "1,1,1,1"];
  const pax: Record<string, string>[] = [
    { path: text(200), "SCHILY.xattr.user.x": text(5) },
    { "GNU.sparse.map": maps[random(5)]!, "GNU.sparse.size": "9" },
    { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "20" },
    { size: String(random(3000)), mtime: `${random(99)}.5` },
  ];
  const body = random(3) === 0 ? concat(padded(new TextEncoder().encode("1\n3\n5\n")), new Uint8Array(5)) : undefined;
  return {
    name: text(1 + random(20)),
    type: types[random(types.length)]!,
    magic: random(2) === 0 ? "gnu" : "ustar",
    data: body ?? text(random(1500)),
    // A wrong field with a right checksum gets past the first guard.
    ...(random(3) === 0 ? { patch: (block) => void (block[random(512)] = random(256)) } : {}),
    ...(random(2) === 0 ? { pax: pax[random(pax.length)]! } : {}),
  };
}

const given = Deno.env.get("BARGE_FUZZ_SEED");
const seed = given === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : Number(given);

Deno.test(`TarReader survives damaged archives, cut anywhere (BARGE_FUZZ_SEED=${seed})`, () => {
  const random = generator(seed);
  for (let round = 0; round < 2000; round++) {
    const bytes = archive(...Array.from({ length: 1 + random(4) }, () => randomEntry(random)));
    const damage = random(4);
    for (let hit = 0; hit < damage; hit++) bytes[random(bytes.length)] = random(256);
    const input = random(3) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes;
    const whole = outcome(input, () => input.length);
    const cut = outcome(input, () => 1 + random(700));
    assert.equal(cut, whole, `seed ${seed}, round ${round}`);
  }
});
