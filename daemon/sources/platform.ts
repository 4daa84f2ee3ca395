/**
 * Platforms: their text form, their normal form, and which image of an index fits a machine.
 *
 * The rules are those of containerd's platforms package. This module is on the way of every `barge run`: it is
 * pure, but for the machine's architecture.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import {
  type Descriptor,
  type ImageIndex,
  isIndexType,
  isManifestType,
  type Platform,
} from "../../api/oci/image_spec.ts";

const knownSystems = new Set(
  ("aix android darwin dragonfly freebsd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos")
    .split(" "),
);
const knownArchitectures = new Set(
  ("386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 " +
    "mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm").split(" "),
);

/** The platform of this machine. */
export function hostPlatform(): Platform {
  return { os: "linux", architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64" };
}

/**
 * The platform of a text `os[(version+feature…)][/architecture[/variant]]`, or an architecture alone. Throws
 * `InvalidArgument` where it is none.
 */
export function parsePlatform(text: string): Platform {
  const fail = (reason: string) =>
    new Failure("InvalidArgument", `"${text}" is not a platform: ${reason}: want os/arch[/variant], as linux/arm64`);
  if (text.includes("*")) throw fail("wildcards are not supported");
  const parts = text.split("/");
  if (parts.length > 3) throw fail("it has more than three parts");
  const system = /^([A-Za-z0-9_.-]+)(?:\(([A-Za-z0-9_.%+-]*)\))?$/.exec(parts[0] ?? "");
  if (system === null || !parts.slice(1).every((part) => /^[A-Za-z0-9_.-]+$/.test(part))) {
    throw fail("it has an empty part or a bad character");
  }
  const options = osOptions(system[2]);
  const first = system[1] ?? "";
  if (parts.length === 1) {
    const os = normalizeSystem(first);
    if (knownSystems.has(os)) return { ...hostPlatform(), os, ...options };
    const platform = normalizePlatform({ os: hostPlatform().os, architecture: first });
    if (!knownArchitectures.has(platform.architecture)) throw fail("it names no known system or architecture");
    return withoutDefaultArmVariant(platform);
  }
  const [, architecture = "", variant] = parts;
  const given = { os: first, architecture, ...(variant === undefined ? {} : { variant }), ...options };
  const platform = normalizePlatform(given);
  if (parts.length === 2) return withoutDefaultArmVariant(platform);
  if (platform.architecture === "arm64" && platform.variant === undefined) return { ...platform, variant: "v8" };
  return platform;
}

function osOptions(text: string | undefined): Partial<Platform> {
  if (text === undefined || text === "") return {};
  const [version, ...features] = text.split("+").map(decodeOption);
  return {
    ...(version === undefined || version === "" ? {} : { "os.version": version }),
    ...(features.length === 0 ? {} : { "os.features": features.sort() }),
  };
}

function decodeOption(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

/** `arm` alone means any arm that version 7 can run, so its text form has no variant. */
function withoutDefaultArmVariant(platform: Platform): Platform {
  if (platform.architecture !== "arm" || platform.variant !== "v7") return platform;
  const { variant: _, ...rest } = platform;
  return rest;
}

/** The platform as text, such as `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter((part) => part !== undefined && part !== "")
    .join("/");
}

function normalizeSystem(os: string): string {
  const lower = os.toLowerCase();
  return lower === "macos" ? "darwin" : lower === "" ? "linux" : lower;
}

const architectureAliases: Readonly<Record<string, string>> = {
  i386: "386",
  x86_64: "amd64",
  "x86-64": "amd64",
  aarch64: "arm64",
};

/** The platform in normal form: aliases resolved, and no variant where it is the architecture's default. */
export function normalizePlatform(platform: Platform): Platform {
  const { variant: givenVariant, ...rest } = platform;
  let architecture = platform.architecture.toLowerCase();
  let variant = (givenVariant ?? "").toLowerCase();
  architecture = architectureAliases[architecture] ?? architecture;
  if (architecture === "armhf") [architecture, variant] = ["arm", "v7"];
  if (architecture === "armel") [architecture, variant] = ["arm", "v6"];
  switch (architecture) {
    case "386":
      variant = "";
      break;
    case "amd64":
      if (variant === "v1") variant = "";
      break;
    case "arm64":
      if (variant === "8" || variant === "v8" || variant === "v8.0") variant = "";
      else if (variant === "9" || variant === "9.0" || variant === "v9.0") variant = "v9";
      break;
    case "arm":
      if (variant === "" || variant === "7") variant = "v7";
      else if (variant === "5" || variant === "6" || variant === "8") variant = `v${variant}`;
      break;
  }
  return { ...rest, os: normalizeSystem(platform.os), architecture, ...(variant === "" ? {} : { variant }) };
}

/** Levels of x86-64 that are counted down from. */
const levelsMax = 16;

/** Every platform that a machine of this platform can run, best first (containerd's `Only`). */
export function runnablePlatforms(platform: Platform): Platform[] {
  const own = normalizePlatform(platform);
  const variant = own.variant ?? "";
  const others: [architecture: string, variant: string][] = [];
  if (own.architecture === "amd64") {
    // Levels end at 4; whoever writes more of them gets no list of that length.
    for (let level = Math.min(Number(/^v(\d+)$/.exec(variant)?.[1] ?? 1), levelsMax) - 1; level >= 1; level--) {
      others.push(["amd64", `v${level}`]);
    }
    others.push(["386", ""]);
  } else if (own.architecture === "arm") {
    for (let level = Number(/^v(\d)$/.exec(variant)?.[1] ?? 0) - 1; level >= 5; level--) {
      others.push(["arm", `v${level}`]);
    }
  } else if (own.architecture === "arm64") {
    for (const older of olderArm64Variants(variant)) others.push(["arm64", older]);
    for (let level = 8; level >= 5; level--) others.push(["arm", `v${level}`]);
  }
  const { variant: _, ...bare } = own;
  return [own, ...others.map(([architecture, variant]) => normalizePlatform({ ...bare, architecture, variant }))];
}

/** v9.M contains v8.(M+5), the newest known being v9.7 and v8.9. */
function olderArm64Variants(variant: string): string[] {
  const match = /^v([89])(?:\.(\d))?$/.exec(variant === "" ? "v8" : variant);
  if (match === null) return [];
  const minor = Number(match[2] ?? 0);
  const below = (major: number, from: number) => Array.from({ length: from + 1 }, (_, i) => `v${major}.${from - i}`);
  if (match[1] === "8") return minor > 9 ? [] : below(8, minor).slice(1);
  return minor > 7 ? [] : [...below(9, minor).slice(1), ...below(8, Math.min(minor + 5, 9))];
}

/** How well an image's platform fits: the place in {@link runnablePlatforms}, 0 is best; undefined is not at all. */
function fit(image: Platform, runnable: readonly Platform[]): number | undefined {
  const normal = normalizePlatform(image);
  const place = runnable.findIndex((candidate) =>
    candidate.os === normal.os && candidate.architecture === normal.architecture &&
    candidate.variant === normal.variant &&
    (normal["os.features"] ?? []).every((feature) => candidate["os.features"]?.includes(feature))
  );
  return place === -1 ? undefined : place;
}

/** Whether an image of platform `image` runs on a machine of platform `machine`. */
export function runsOn(image: Platform, machine: Platform): boolean {
  return fit(image, runnablePlatforms(machine)) !== undefined;
}

/**
 * The entry of an index that fits the wanted platform best; of equals the first. Entries for `unknown/unknown`
 * (attestations) are never chosen; an entry without platform only where nothing else fits, since its config has
 * the last word. Throws `NotFound` that lists what there is; `image` is the name for that sentence.
 */
export function chooseManifest(index: ImageIndex, wanted: Platform, image = "the image"): Descriptor {
  const runnable = runnablePlatforms(wanted);
  const candidates = index.manifests.filter(isImage);
  let best: { descriptor: Descriptor; rank: number } | undefined;
  for (const descriptor of candidates) {
    const rank = descriptor.platform === undefined ? runnable.length : fit(descriptor.platform, runnable);
    if (rank !== undefined && (best === undefined || rank < best.rank)) best = { descriptor, rank };
  }
  if (best !== undefined) return best.descriptor;
  const offered = [
    ...new Set(candidates.flatMap(({ platform }) => platform === undefined ? [] : formatPlatform(platform))),
  ];
  throw new Failure(
    "NotFound",
    `${image} has no image for ${formatPlatform(wanted)}: ` +
      (offered.length === 0 ? "its index lists none" : `it offers ${offered.sort().join(", ")}`),
  );
}

function isImage({ mediaType, platform, annotations }: Descriptor): boolean {
  if (!isManifestType(mediaType) && !isIndexType(mediaType)) return false;
  if (annotations?.["vnd.docker.reference.type"] === "attestation-manifest") return false;
  return platform === undefined || platform.os !== "unknown" || platform.architecture !== "unknown";
}
