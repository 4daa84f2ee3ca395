/**
 * Ends the systemd unit of a container.
 *
 * @module
 */
import { isFailure } from "../../../api/errors.ts";
import type { UnitRecord } from "./systemd/unit.ts";

/**
 * Stops the unit of a container whose processes have ended, and waits until it is gone. Where systemd does not answer, the
 * unit is left to it: the cgroups are removed by who made the container, and systemd forgets a scope that it finds empty.
 *
 * Throws `DeadlineExceeded` where systemd is at it for 30 s.
 */
export async function endUnit(unit: UnitRecord): Promise<void> {
  const { stopUnit } = await import("./systemd/unit.ts");
  try {
    await stopUnit(unit);
  } catch (error) {
    if (!isFailure(error, "Unavailable")) throw error;
  }
}
