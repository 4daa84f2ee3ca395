import assert from "node:assert/strict";
import * as zlib from "node:zlib";
import { Failure } from "../../api/errors.ts";
import { concat } from "./archive_fixture.ts";
import { decompressor } from "./decompress.ts";
import { type Packing, packingOf } from "./media_type.ts";

// A Buffer's slice() is a view: the tests want real copies.
const gzipSync = (bytes: Uint8Array) => new Uint8Array(zlib.gzipSync(bytes));
const zstdCompressSync = (bytes: Uint8Array, options = {}) => new Uint8Array(zlib.zstdCompressSync(bytes, options));
const encode = (text: string) => new TextEncoder().encode(text);

async function inflate(bytes: Uint8Array, step: number, packing: Packing = "sniff"): Promise<string> {
  let text = "";
  const inflating = decompressor(packing, (part) => void (text += new TextDecoder().decode(part)));
  try {
    for (let at = 0; at < bytes.length; at += step) await inflating.write(bytes.slice(at, at + step));
    await inflating.end();
    return text;
  } finally {
    inflating.close();
  }
}

const skippable = new Uint8Array([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
const checked = { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } };
const long = "many words ".repeat(40_000);

const streams: Record<string, [Uint8Array, string]> = {
  "nothing": [new Uint8Array(0), ""],
  "two bytes": [encode("ab"), "ab"],
  "plain bytes": [encode("plain"), "plain"],
  "gzip": [gzipSync(encode(long)), long],
  "gzip of several members": [concat(gzipSync(encode("a")), gzipSync(encode("")), gzipSync(encode("b"))), "ab"],
  "gzip with zeros after it": [concat(gzipSync(encode("a")), new Uint8Array(600)), "a"],
  "zstd": [zstdCompressSync(encode(long)), long],
  "zstd of several frames": [
    concat(zstdCompressSync(encode("a")), zstdCompressSync(encode(long), checked)),
    `a${long}`,
  ],
  "zstd between skippable frames": [
    concat(skippable, zstdCompressSync(encode("a")), skippable, skippable, zstdCompressSync(encode("b")), skippable),
    "ab",
  ],
};

for (const [name, [bytes, wanted]] of Object.entries(streams)) {
  Deno.test(`decompressor() inflates ${name}, however it is cut`, async () => {
    for (const step of [1, 5, 1000, bytes.length || 1]) {
      if (bytes.length / step > 5000) continue;
      assert.equal(await inflate(bytes, step), wanted, `step ${step}`);
    }
  });
}

Deno.test("decompressor() takes plain tar at its word", async () => {
  const bytes = encode("\x1f\x08 not really");
  assert.equal(await inflate(bytes, 3, "none"), new TextDecoder().decode(bytes));
});

Deno.test("decompressor() refuses streams that end too early or go wrong", async () => {
  const gzip = gzipSync(encode(long));
  const zstd = zstdCompressSync(encode(long), checked);
  const broken = gzip.slice();
  broken.fill(0xff, 30, 60);
  const cases: [Uint8Array, string, RegExp][] = [
    [gzip.subarray(0, -3), "DataLoss", /gzip stream is not complete: unexpected EOF/],
    [zstd.subarray(0, -3), "DataLoss", /zstd stream ends in the middle of a frame: unexpected EOF/],
    [zstd.subarray(0, 12), "DataLoss", /zstd/],
    [concat(zstd, skippable.subarray(0, 9)), "DataLoss", /zstd/],
    [concat(zstd, encode("rest")), "InvalidArgument", /no zstd frame/],
    [broken, "InvalidArgument", /inflating the layer: /],
  ];
  for (const [bytes, code, pattern] of cases) {
    for (const step of [7, 100_000]) {
      await assert.rejects(inflate(bytes, step), (error: unknown) => {
        assert.ok(error instanceof Failure, String(error));
        assert.deepEqual([error.code, pattern.test(error.message)], [code, true], error.message);
        return true;
      });
    }
  }
});

Deno.test("decompressor() rejects the write whose output fails", async () => {
  for (const bytes of [encode("plain"), gzipSync(encode(long)), zstdCompressSync(encode(long))]) {
    const inflating = decompressor("sniff", () => {
      throw new Failure("ResourceExhausted", "full");
    });
    await assert.rejects(inflating.write(bytes), { code: "ResourceExhausted" });
    inflating.close();
  }
});

Deno.test("packingOf() knows all layer types, and names what it cannot process", () => {
  const docker = "application/vnd.docker.image.rootfs";
  const oci = "application/vnd.oci.image.layer";
  for (const type of [`${docker}.diff.tar`, `${docker}.diff.tar.gzip`, `${docker}.foreign.diff.tar.gzip`]) {
    assert.equal(packingOf(type), "sniff");
  }
  for (const type of [`${oci}.v1.tar+gzip`, `${oci}.nondistributable.v1.tar+zstd`]) {
    assert.equal(packingOf(type), "sniff");
  }
  assert.equal(packingOf(`${oci}.v1.tar`), "none");
  for (const type of [`${oci}.v1.tar+gzip+encrypted`, `${oci}.v1.tar+xz`, "application/vnd.erofs.layer.v1", ""]) {
    assert.throws(() => packingOf(type), { code: "NotImplemented", message: /^no processor for media-type/ });
  }
});
