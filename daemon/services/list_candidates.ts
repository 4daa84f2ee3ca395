/**
 * Which objects a List call has to look at: where its filters allow few, these are looked up instead of reading all.
 *
 * @module
 */
import type { FieldReader } from "../filters/compile.ts";
import { compileFilters, exactValues } from "../filters/compile.ts";
import { parseFilter, type Selector } from "../filters/parse.ts";
import type { ObjectKind } from "../metadata/label_refs.ts";
import type { Objects } from "../metadata/objects.ts";
import { keysWhere } from "../metadata/pages.ts";
import { inByteOrder } from "./list_filter.ts";

/** Looking one object up takes as long as reading two in a page. */
const candidatesMax = 1000;

/** How a kind of objects is looked up. */
export interface Lookup {
  readonly objects: Objects;
  readonly kind: ObjectKind;
  /** The filters' name of the key. */
  readonly field: string;
  /** Selects keys, see `keysWhere`. */
  readonly keysSql: string;
}

/**
 * Keys in order, among which are those of all objects that pass the filters; undefined where all objects have to be read.
 * The filters were compiled before, so they can be.
 */
export async function candidateKeys(
  filters: readonly string[],
  { objects, kind, field, keysSql }: Lookup,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  const exact = exactValues(filters, [field]);
  if (exact !== undefined) return exact.length > candidatesMax ? undefined : inByteOrder(exact);
  const parsed = filters.map(parseFilter);
  const labels = parsed.map((selectors) => selectors.find(isLabelEquality));
  if (labels.every((selector) => selector !== undefined)) {
    const keys = await objects.database.read(() =>
      labels.map(({ path, value }) => objects.keysLabelled(kind, path.slice(1).join("."), value))
    );
    const all = keys.length === 1 ? keys[0]! : inByteOrder([...new Set(keys.flat())]);
    return all.length > candidatesMax ? undefined : all;
  }
  if (!parsed.flat().every(({ path }) => path.length === 1 && path[0] === field)) return undefined;
  const matches = compileFilters(filters);
  const passes = (key: string) => matches(keyReader(field, key));
  return await keysWhere(objects, keysSql, passes, candidatesMax, signal);
}

/** Empty labels are not kept, so nothing is found by them. */
function isLabelEquality({ path, operator, value }: Selector): boolean {
  return operator === "==" && path[0] === "labels" && path.length > 1 && value !== "";
}

function keyReader(field: string, key: string): FieldReader {
  return (path) => path[0] === field ? key : undefined;
}
