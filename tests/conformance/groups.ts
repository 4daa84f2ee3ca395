/**
 * All cases, by what they are about.
 *
 * @module
 */
import type { Case } from "./case.ts";
import { mountCases } from "./cases/mounts.ts";
import { namespaceCases } from "./cases/namespaces.ts";
import { processCases } from "./cases/process.ts";

/** Group → its cases. */
export const groups: Readonly<Record<string, readonly Case[]>> = {
  process: processCases,
  namespaces: namespaceCases,
  mounts: mountCases,
};
