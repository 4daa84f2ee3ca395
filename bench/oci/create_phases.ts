/**
 * The phases of a creation that are told apart.
 *
 * @module
 */
import type { CreatePhase } from "../../shim/oci/create.ts";

/** In their order. */
export const createPhases: readonly CreatePhase[] = ["facts", "plan", "state", "cgroup", "clone", "setup"];
