/**
 * The mount options `uidmap=` and `gidmap=`, by which containerd's snapshotters ask for mounts with ids mapped.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { IdMapping } from "../../api/oci/runtime_spec.ts";
import type { IdMaps } from "../oci/plan/id_maps.ts";

/** As many as the kernel takes (user_namespaces(7)). */
const rangesMax = 340;

/** Takes the two options out of a mount's. Throws `InvalidArgument` for one without the other, and for what is no map. */
export function splitIdMaps(options: readonly string[]): { options: string[]; idMaps?: IdMaps } {
  const rest = options.filter((option) => !/^[ug]idmap=/.test(option));
  if (rest.length === options.length) return { options: rest };
  const value = (key: string): IdMapping[] => {
    const given = options.filter((option) => option.startsWith(`${key}=`));
    if (given.length !== 1) {
      throw new Failure("InvalidArgument", `mount options "${options.join(",")}": want uidmap= and gidmap=, once each`);
    }
    return parseIdMap(given[0]!);
  };
  return { options: rest, idMaps: { uids: value("uidmap"), gids: value("gidmap") } };
}

function parseIdMap(option: string): IdMapping[] {
  const ranges = option.slice(option.indexOf("=") + 1).split(",");
  const mappings = ranges.map((range): IdMapping => {
    const [, containerID, hostID, size] = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(range)?.map(Number) ?? [];
    if (containerID === undefined || hostID === undefined || size === undefined) {
      throw new Failure(
        "InvalidArgument",
        `mount option "${option}": want containerID:hostID:length, with commas between several`,
      );
    }
    return { containerID, hostID, size };
  });
  if (mappings.length > rangesMax) {
    throw new Failure("InvalidArgument", `mount option "${option.slice(0, 40)}…" has more than ${rangesMax} ranges`);
  }
  return mappings;
}
