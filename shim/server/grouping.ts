/**
 * Which containers share a shim, and how many of them, as barge's daemon says by BARGE_SHIM_GROUP and BARGE_SHIM_PLACES.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Grouping } from "./start_shim.ts";

/** Without the variable it is `pod`, as with containerd's own shims. Throws `InvalidArgument`. */
export function groupingOf(text: string | undefined): Grouping {
  if (text === undefined || text === "") return "pod";
  if (text === "container" || text === "pod" || text === "namespace") return text;
  throw new Failure("InvalidArgument", `BARGE_SHIM_GROUP is ${JSON.stringify(text)}: want container, pod or namespace`);
}

/** Containers of one shim that holds those of a namespace: as many as it takes on most hosts. */
export const defaultPlaces = 100;
/** More than a shim's descriptors are enough for. */
export const placesMax = 1_000;

/** How many containers a shim takes that holds those of a namespace. Throws `InvalidArgument`. */
export function placesOf(text: string | undefined): number {
  if (text === undefined || text === "") return defaultPlaces;
  const places = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (places >= 1 && places <= placesMax) return places;
  throw new Failure("InvalidArgument", `BARGE_SHIM_PLACES is ${JSON.stringify(text)}: want 1 to ${placesMax}`);
}
