/**
 * `linux.resources.blockIO` for both versions.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { decimal } from "./amount.ts";
import type { Setting } from "./settings.ts";

/** One entry of `weightDevice` or of a throttle list. */
type Entry = Readonly<Record<string, unknown>>;

/** Property → file of version 1, key in `io.max` of version 2. */
const throttles = {
  throttleReadBpsDevice: ["blkio.throttle.read_bps_device", "rbps"],
  throttleWriteBpsDevice: ["blkio.throttle.write_bps_device", "wbps"],
  throttleReadIOPSDevice: ["blkio.throttle.read_iops_device", "riops"],
  throttleWriteIOPSDevice: ["blkio.throttle.write_iops_device", "wiops"],
} as const;

const known = new Set<string>(["weight", "leafWeight", "weightDevice", ...Object.keys(throttles)]);

/** Settings of the version 1 controller `blkio`. Throws `InvalidArgument` for values of the wrong type. */
export function blockIOSettingsV1(blockIO: Entry): Setting[] {
  refuseUnknown(blockIO);
  const settings: Setting[] = [];
  const add = (file: string, value: string, property: string, otherFile?: string) =>
    settings.push({
      controller: "blkio",
      file,
      value,
      property: `blockIO.${property}`,
      // The CFQ scheduler's files went with it in Linux 5.0; BFQ has its own.
      ...(otherFile === undefined ? {} : { orElse: { file: otherFile, value } }),
    });
  const { weight, leafWeight } = blockIO;
  if (weight) add("blkio.weight", decimal(weight, "blockIO.weight"), "weight", "blkio.bfq.weight");
  if (leafWeight) add("blkio.leaf_weight", decimal(leafWeight, "blockIO.leafWeight"), "leafWeight");
  for (const [device, entry] of devices(blockIO, "weightDevice")) {
    const own = entry["weight"], leaf = entry["leafWeight"], property = "weightDevice";
    if (own) {
      const line = `${device} ${decimal(own, "blockIO.weightDevice.weight")}`;
      add("blkio.weight_device", line, property, "blkio.bfq.weight_device");
    }
    if (leaf) {
      add("blkio.leaf_weight_device", `${device} ${decimal(leaf, "blockIO.weightDevice.leafWeight")}`, property);
    }
  }
  for (const [property, [file]] of Object.entries(throttles)) {
    for (const [device, entry] of devices(blockIO, property)) {
      add(file, `${device} ${decimal(entry["rate"] ?? 0, `blockIO.${property}.rate`)}`, property);
    }
  }
  return settings;
}

/**
 * Settings of the version 2 controller `io`. Leaf weights do not exist there. Throws `InvalidArgument` for those and for
 * values of the wrong type.
 */
export function blockIOSettingsV2(blockIO: Entry): Setting[] {
  refuseUnknown(blockIO);
  refuseLeafWeight(blockIO);
  const settings: Setting[] = [];
  const add = (file: string, value: string, property: string, otherValue?: string) =>
    settings.push({
      controller: "io",
      file,
      value,
      property: `blockIO.${property}`,
      ...(otherValue === undefined ? {} : { orElse: { file: "io.weight", value: otherValue } }),
    });
  if (blockIO["weight"]) {
    const weight = decimal(blockIO["weight"], "blockIO.weight");
    add("io.bfq.weight", weight, "weight", ioWeight(weight));
  }
  for (const [device, entry] of devices(blockIO, "weightDevice")) {
    refuseLeafWeight(entry);
    if (!entry["weight"]) continue;
    const weight = decimal(entry["weight"], "blockIO.weightDevice.weight");
    add("io.bfq.weight", `${device} ${weight}`, "weightDevice", `${device} ${ioWeight(weight)}`);
  }
  for (const [property, [, key]] of Object.entries(throttles)) {
    for (const [device, entry] of devices(blockIO, property)) {
      add("io.max", `${device} ${key}=${decimal(entry["rate"] ?? 0, `blockIO.${property}.rate`)}`, property);
    }
  }
  return settings;
}

/** A weight of 10–1000 on `io.weight`'s scale of 1–10000. */
function ioWeight(weight: string): string {
  return String(1 + Math.trunc((Number(weight) - 10) * 9999 / 990));
}

/** `MAJOR:MINOR` and the entry itself for each one of a list. */
function devices(blockIO: Entry, property: string): [string, Entry][] {
  const list: unknown = blockIO[property] ?? [];
  if (!Array.isArray(list)) {
    throw new Failure("InvalidArgument", `cannot use blockIO.${property} ${JSON.stringify(list)}: want a list`);
  }
  return list.map((entry: unknown) => {
    if (typeof entry !== "object" || entry === null) {
      throw new Failure(
        "InvalidArgument",
        `cannot use ${JSON.stringify(entry)} in blockIO.${property}: want an object`,
      );
    }
    // An object of unknown properties is exactly what an entry is.
    const device = entry as Entry;
    const [major, minor] = ["major", "minor"].map((key) => decimal(device[key] ?? 0, `blockIO.${property}.${key}`));
    return [`${major}:${minor}`, device];
  });
}

function refuseLeafWeight(from: Entry): void {
  if (!from["leafWeight"]) return;
  throw new Failure(
    "InvalidArgument",
    "cannot set blockIO.leafWeight: cgroup version 2 has no leaf weights; remove it",
  );
}

function refuseUnknown(blockIO: Entry): void {
  for (const key of Object.keys(blockIO)) {
    if (known.has(key)) continue;
    throw new Failure(
      "InvalidArgument",
      `cannot set blockIO.${key}: the specification has no such property; remove it`,
    );
  }
}
