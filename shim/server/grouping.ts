/**
 * Which containers share a shim, as barge's daemon says by BARGE_SHIM_GROUP.
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
