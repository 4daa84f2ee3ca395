/**
 * Configurations of older versions as ones of the current version. Facts: containerd's `docs/PLUGINS.md` and the
 * migrations of its plugins.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { migrateCri } from "./migrate_cri.ts";
import { migratePlugins } from "./migrate_plugins.ts";
import { migrateServers } from "./migrate_servers.ts";
import { migrateShortNames } from "./migrate_short_names.ts";
import type { Report } from "./read_table.ts";
import { copyTable, isZero, itemAt, showOrigin, type Table } from "./tree.ts";

/** The version that is written, and the highest that is read: containerd 2.3's. */
export const currentVersion = 4;

/**
 * What the file says of its version; 0 where it says nothing. Throws `InvalidArgument` for what is no version, and for
 * one that is too high.
 */
export function versionOf(tree: Table): number {
  const item = itemAt(tree, "version");
  if (item === undefined) return 0;
  const place = showOrigin(item.at);
  if (item.kind !== "int" || item.value < 0) {
    throw new Failure("InvalidArgument", `${place}: version is no version: want a number from 1 to ${currentVersion}`);
  }
  if (item.value > currentVersion) {
    throw new Failure(
      "InvalidArgument",
      `${place}: expected containerd config version equal to or less than \`${currentVersion}\`, got \`${item.value}\``,
    );
  }
  return Number(item.value);
}

/** One step from version N, at index N, to the next. */
const steps: readonly (readonly ((tree: Table, report: Report) => void)[])[] = [
  [],
  [migrateShortNames, migratePlugins, migrateCri],
  [migratePlugins, migrateCri],
  [migrateServers, dropRetired, migratePlugins, migrateCri],
];

/**
 * The same settings in the current version; the original stays as it is. Values keep the places where they were written.
 * What cannot be said in the new version is reported. Throws as {@link versionOf}.
 */
export function migrate(original: Table, report: Report): Table {
  const version = versionOf(original);
  const tree = copyTable(original);
  if (version === currentVersion) return tree;
  const at = itemAt(tree, "version")?.at ?? tree.at;
  const said = version === 0 ? "no version, which is read as version 1" : `version ${version}`;
  const message = `the file has ${said}: it is migrated to version ${currentVersion} at each start; ` +
    "`containerd config migrate` prints what to store instead";
  report({ severity: "note", at, message });
  for (const step of steps.slice(version)) {
    for (const perform of step) perform(tree, report);
  }
  tree.entries.set("version", { kind: "int", value: currentVersion, at });
  return tree;
}

/** Keys that generated configurations of 1.x hold, and that say nothing while they are empty. */
function dropRetired({ entries }: Table): void {
  const directory = entries.get("plugin_dir");
  if (directory !== undefined && isZero(directory)) entries.delete("plugin_dir");
}
