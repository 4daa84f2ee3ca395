import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { removeTreeSync } from "../../ffi/remove_tree.ts";
import { LayerComparer } from "../doctor/layer_comparer.ts";
import { type ApplyForm, LayerApplier } from "./apply.ts";
import { concat, entryBytes } from "./archive_fixture.ts";
import { blockSize } from "./tar_header.ts";
import { TarReader } from "./tar_reader.ts";

const given = Deno.env.get("BARGE_FUZZ_SEED");
const seed = given === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : Number(given);

/** xorshift32: small, and the same everywhere for one seed. */
function generator(start: number): (below: number) => number {
  let state = start | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Archives that GNU tar makes of a tree with everything in it, in each of its formats. */
async function realArchives(dir: string): Promise<Uint8Array<ArrayBuffer>[]> {
  const script = `
    mkdir -p '${dir}/tree/usr/bin' '${dir}/tree/var/empty' && cd '${dir}/tree'
    echo text > usr/bin/tool && ln usr/bin/tool usr/bin/again && ln -s tool usr/bin/link
    mkfifo var/pipe && mknod var/null c 1 3 && chown 12:34 var/empty && chmod 4755 usr/bin/tool
    truncate -s 1M var/sparse && printf middle | dd of=var/sparse bs=1 seek=400000 conv=notrunc status=none
    mkdir -p "$(printf 'deep%.0s/' $(seq 40))" && : > "$(printf 'name%.0s' $(seq 50))"
    : > var/.wh.gone && : > usr/.wh..wh..opq
    setfattr -n user.colour -v blue usr/bin/tool || true
    for format in v7 ustar gnu pax; do
      tar -cf '${dir}/'$format.tar --format $format --sparse --xattrs . 2>/dev/null || tar -cf '${dir}/'$format.tar --format $format usr
    done`;
  const { success, stderr } = await new Deno.Command("sh", { args: ["-c", script] }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return ["v7", "ustar", "gnu", "pax"].map((format) => Deno.readFileSync(`${dir}/${format}.tar`));
}

const texts = [
  "",
  "-1",
  "4294967295",
  "4294967296",
  "-2",
  "1e9",
  "9".repeat(15),
  "9".repeat(40),
  "0",
  "a",
  "..",
  "/",
  "\0",
];
const keys = ["uid", "gid", "size", "mtime", "atime", "path", "linkpath", "GNU.sparse.major", "SCHILY.xattr.user.x"];
/** Offsets and lengths of a header's fields. */
const fields = [
  [0, 100],
  [100, 8],
  [108, 8],
  [116, 8],
  [124, 12],
  [136, 12],
  [156, 1],
  [157, 100],
  [329, 8],
  [337, 8],
  [345, 155],
];

function headersOf(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at + blockSize <= bytes.length; at += blockSize) {
    const sum = parseInt(new TextDecoder().decode(bytes.subarray(at + 148, at + 154)), 8);
    const block = bytes.subarray(at, at + blockSize);
    const own = block.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte), 0);
    if (sum === own && own > 0x100) found.push(at);
  }
  return found;
}

/** Changes a field of some header, whose checksum is right again; or puts a PAX header in front of it. */
function mutate(bytes: Uint8Array<ArrayBuffer>, random: (below: number) => number): Uint8Array<ArrayBuffer> {
  const headers = headersOf(bytes);
  const at = headers[random(headers.length)]!;
  if (random(3) === 0) {
    const value = random(6) === 0 ? "p/".repeat(1 + random(4_000)) : texts[random(texts.length)]!;
    const name = keys[random(keys.length)]!;
    // The header alone: what it is of follows in the archive itself.
    const pax = entryBytes({ name: "x", pax: { [name]: value } }).subarray(0, -blockSize);
    return concat(bytes.subarray(0, at), pax, bytes.subarray(at));
  }
  const copy = bytes.slice();
  const [offset, length] = fields[random(fields.length)]!;
  const field = copy.subarray(at + offset!, at + offset! + length!);
  const kind = random(4);
  if (kind === 0) { for (let n = 0; n < field.length; n++) field[n] = random(256); }
  else if (kind === 1) field.fill(0xff);
  else if (kind === 2) field.fill(0).set([0x80, ...Array(field.length - 1).fill(0)].map((byte) => byte || random(256)));
  else field.fill(0).set(new TextEncoder().encode(texts[random(texts.length)]!).subarray(0, field.length));
  copy.fill(0x20, at + 148, at + 156);
  const sum = copy.subarray(at, at + blockSize).reduce((total, byte) => total + byte, 0);
  copy.set(new TextEncoder().encode(sum.toString(8).padStart(6, "0") + "\0 "), at + 148);
  return copy;
}

/** Gives the paths of links that need lower layers. */
function apply(dir: string, form: ApplyForm, bytes: Uint8Array): string[] {
  using applier = new LayerApplier(dir, form);
  const reader = new TarReader(applier);
  reader.push(bytes);
  reader.end();
  return applier.finish().unresolvedLinks.map(({ path }) => path);
}

/** What the doctor says of the directory. */
function compare(dir: string, form: ApplyForm, bytes: Uint8Array): string[] {
  using comparer = new LayerComparer(dir, form);
  const reader = new TarReader(comparer);
  reader.push(bytes);
  reader.end();
  return comparer.discrepancies.list(100).first.map(({ realPath, problem }) => `${realPath} ${problem}`);
}

Deno.test({
  name:
    `LayerApplier, and LayerComparer after it, answer changed archives of GNU tar in their own words (needs root; BARGE_FUZZ_SEED=${seed})`,
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const random = generator(seed);
    // Memory, where it can be had: the test is not about the disk.
    const dir = await Deno.makeTempDir({
      prefix: "barge-apply-fuzz-",
      ...(await isThere("/dev/shm") ? { dir: "/dev/shm" } : {}),
    });
    try {
      const archives = await realArchives(dir);
      for (const [index, bytes] of archives.entries()) {
        Deno.mkdirSync(`${dir}/whole-${index}`);
        apply(`${dir}/whole-${index}`, "overlay", bytes);
      }
      const codes = new Map<string, number>();
      for (let round = 0; round < 1_500; round++) {
        let bytes = archives[random(archives.length)]!;
        for (let changes = 1 + random(3); changes > 0; changes--) bytes = mutate(bytes, random);
        const form = random(2) === 0 ? "overlay" : "plain";
        Deno.mkdirSync(`${dir}/target`);
        const attempt = <T>(body: () => T): { code: string; result?: T } => {
          try {
            return { code: "ok", result: body() };
          } catch (error) {
            const code = error instanceof Failure ? error.code : "internal";
            if (!["internal", "Internal", "Unknown"].includes(code)) return { code };
            throw new Error(`seed ${seed}, round ${round}, ${form}: ${error}`, { cause: error });
          }
        };
        const { code, result: links } = attempt(() => apply(`${dir}/target`, form, bytes));
        codes.set(code, (codes.get(code) ?? 0) + 1);
        // Half of it may be there only; and what was taken as a whole is found to be so.
        const { result: found } = attempt(() => compare(`${dir}/target`, form, bytes));
        if (links !== undefined) {
          const expected = links.map((path) => `${path} is gone`);
          const wrong = found?.filter((line) => !expected.includes(line)) ?? ["nothing could be compared"];
          assert.deepEqual(wrong, [], `seed ${seed}, round ${round}, ${form}`);
        }
        removeTreeSync(`${dir}/target`);
      }
      assert.ok((codes.get("ok") ?? 0) > 100 && (codes.get("InvalidArgument") ?? 0) > 100, JSON.stringify([...codes]));
    } finally {
      removeTreeSync(dir);
    }
  },
});

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
