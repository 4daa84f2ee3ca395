/**
 * Conditional references: labels `containerd.io/gc.cond.snapshot.<snapshotter>[/suffix]` with a value
 * `condition[,condition…]|key`. The holder refers to the snapshot `key` while any of the conditions holds.
 *
 * @module
 */
import { parseDuration } from "../config/duration.ts";
import type { Reader } from "./reader.ts";

const prefix = "containerd.io/gc.cond.snapshot.";
/** The snapshot's own label that conditions look at. */
const usedAt = "containerd.io/gc.cond.value-usedat";

/** A reference that holds now. */
export interface ConditionalRef {
  readonly namespace: string;
  readonly kind: string;
  readonly key: string;
  /** `snapshotter/key` of the snapshot. */
  readonly target: string;
}

interface LabelRow {
  namespace: string;
  kind: string;
  key: string;
  label: string;
  value: string;
}

/** The references whose conditions hold at the time `now` (milliseconds since 1970). Malformed ones hold never. */
export function conditionalRefs(reader: Reader, now: number): ConditionalRef[] {
  const rows = reader.all<LabelRow>(
    "SELECT namespace, kind, key, label, value FROM labels WHERE label >= ? AND label < ? AND kind IN ('content', 'image')",
    prefix,
    // The next text after all that begin with the prefix: its last character is a dot, and a slash comes after it.
    `${prefix.slice(0, -1)}/`,
  );
  return rows.flatMap(({ namespace, kind, key, label, value }) => {
    const bar = value.indexOf("|");
    if (bar === -1) return [];
    const snapshotter = label.slice(prefix.length).split("/", 1)[0]!;
    const target = `${snapshotter}/${value.slice(bar + 1)}`;
    const conditions = value.slice(0, bar).split(",");
    const age = ageOf(reader, namespace, target, now);
    const holds = age !== undefined && conditions.some((condition) => conditionHolds(condition, age));
    return holds ? [{ namespace, kind, key, target }] : [];
  });
}

function ageOf(reader: Reader, namespace: string, target: string, now: number): number | undefined {
  const [row] = reader.all<{ value: string }>(
    "SELECT value FROM labels WHERE namespace = ? AND kind = 'snapshot' AND key = ? AND label = ?",
    namespace,
    target,
    usedAt,
  );
  const time = row === undefined ? NaN : Date.parse(row.value);
  return Number.isNaN(time) ? undefined : now - time;
}

/** Whether `usedat<DURATION` or `usedat>DURATION` is so for something that was used `ageMs` ago. */
export function conditionHolds(condition: string, ageMs: number): boolean {
  const match = /^usedat([<>])(.+)$/.exec(condition.trim());
  if (match === null) return false;
  let limitMs: number;
  try {
    limitMs = parseDuration(match[2]!);
  } catch {
    // A duration that cannot be read is a condition that does not hold, as in containerd.
    return false;
  }
  return match[1] === "<" ? ageMs < limitMs : ageMs > limitMs;
}
