import { ok } from "node:assert/strict";
import { parseDigest } from "../../api/digest.ts";
import { isFailure, messageOf } from "../../api/errors.ts";
import { hostPlatform } from "../sources/platform.ts";
import { chooseManifest } from "../sources/platform.ts";
import { childLabels } from "./content_labels.ts";
import { parseConfig, parseIndex, parseManifest } from "./documents.ts";

const seed = Number(Deno.env.get("BARGE_FUZZ_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
let state = seed | 1;

/** The next random number below `max` (xorshift). */
function dice(max: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % max;
}

const digest = `sha256:${"a".repeat(64)}`;
const descriptor = {
  mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
  digest,
  size: 5,
  platform: hostPlatform(),
};
const valid: readonly unknown[] = [
  { schemaVersion: 2, manifests: [descriptor, { ...descriptor, annotations: { a: "b" } }] },
  {
    schemaVersion: 2,
    config: { ...descriptor, mediaType: "application/vnd.oci.image.config.v1+json" },
    layers: [descriptor],
  },
  {
    os: "linux",
    architecture: "amd64",
    config: { Env: ["A=b"], Cmd: null },
    rootfs: { type: "layers", diff_ids: [digest] },
  },
];
const strange: readonly unknown[] = [
  null,
  true,
  -1,
  1.5,
  2 ** 60,
  1e999,
  "",
  "x",
  "sha256:",
  `sha512:${"f".repeat(128)}`,
  [],
  {},
  [[]],
  { a: {} },
  "\u0000",
  "\ud800",
  "constructor",
];

/** The value with a random part replaced, removed, doubled or renamed. */
function mutated(value: unknown): unknown {
  if (dice(4) === 0 || typeof value !== "object" || value === null) return strange[dice(strange.length)];
  if (Array.isArray(value)) {
    const copy = [...value];
    const at = dice(copy.length + 1);
    if (dice(2) === 0) copy.splice(at, 1);
    else copy.splice(at, dice(2), mutated(copy[at]));
    return copy;
  }
  const entries = Object.entries(value);
  const [key = "x", part] = entries[dice(entries.length || 1)] ?? [];
  const rest = Object.fromEntries(entries.filter(([other]) => other !== key));
  switch (dice(4)) {
    case 0:
      return rest;
    case 1:
      return { ...rest, [["__proto__", "toString", key.toUpperCase()][dice(3)]!]: part };
    default:
      return { ...rest, [key]: mutated(part) };
  }
}

/** The text as bytes, now and then with some of them changed or cut. */
function bytesOf(value: unknown): Uint8Array {
  const bytes = new TextEncoder().encode(JSON.stringify(value) ?? "");
  if (dice(3) > 0 || bytes.length === 0) return bytes;
  if (dice(2) === 0) return bytes.subarray(0, dice(bytes.length));
  for (let n = dice(5) + 1; n > 0; n--) bytes[dice(bytes.length)] = dice(256);
  return bytes;
}

Deno.test(`parseIndex(), parseManifest() and parseConfig() take or refuse whatever comes (BARGE_FUZZ_SEED=${seed})`, () => {
  const name = parseDigest(digest);
  const parsers = [
    (bytes: Uint8Array) => childLabels(parseIndex(bytes, name).manifests),
    (bytes: Uint8Array) => chooseManifest(parseIndex(bytes, name), hostPlatform()),
    (bytes: Uint8Array) => {
      const { config, layers } = parseManifest(bytes, name);
      return childLabels([config, ...layers]);
    },
    (bytes: Uint8Array) => parseConfig(bytes, name, dice(3)),
  ];
  let taken = 0, refused = 0;
  for (let round = 0; round < 20_000; round++) {
    let value = valid[dice(valid.length)];
    for (let n = dice(4); n > 0; n--) value = mutated(value);
    const bytes = bytesOf(value);
    for (const parse of parsers) {
      try {
        parse(bytes);
        taken++;
      } catch (error) {
        refused++;
        const isExpected = isFailure(error, "InvalidArgument") || isFailure(error, "NotFound");
        ok(isExpected, `${messageOf(error)} for ${new TextDecoder().decode(bytes)}`);
      }
    }
  }
  ok(taken > 100 && refused > 1000, `${taken} taken, ${refused} refused`);
});
