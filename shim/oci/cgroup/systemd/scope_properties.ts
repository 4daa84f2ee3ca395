/**
 * What every container's unit has, whatever its limits are.
 *
 * @module
 */
import { property, type UnitProperty } from "./property.ts";
import type { UnitName } from "./unit_name.ts";

/** What is known of the container. */
export interface ScopeFacts {
  unit: UnitName;
  /** Process id of the container's first process, which the unit begins with. */
  pid: number;
  /** Version of the cgroup hierarchy that has the controllers. */
  version: 1 | 2;
}

/** The properties in runc's order. */
export function scopeProperties({ unit, pid, version }: ScopeFacts): UnitProperty[] {
  return [
    property("Description", "s", `libcontainer container ${unit.stem}`),
    property("Slice", "s", unit.slice),
    // What is below belongs to the container, and systemd lets it alone.
    property("Delegate", "b", true),
    property("PIDs", "au", [pid]),
    ...["Memory", "CPU", version === 1 ? "BlockIO" : "IO", "Tasks"].map((name) =>
      property(`${name}Accounting`, "b", true)
    ),
    // Else the unit would have to go before the system's shutdown targets, and containers with it.
    property("DefaultDependencies", "b", false),
  ];
}
