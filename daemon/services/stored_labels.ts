/**
 * Labels as they are kept.
 *
 * @module
 */
import type { Labels } from "../metadata/label_refs.ts";

/** The labels without those that are empty: an empty label is none. */
export function storedLabels(labels: Labels): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));
}
