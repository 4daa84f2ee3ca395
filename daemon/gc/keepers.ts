/**
 * Who keeps an object alive: the references, walked backwards.
 *
 * @module
 */
import { conditionalRefs } from "./conditions.ts";
import type { ObjectName, Reader } from "./reader.ts";

/** One reference; `name` says why: a label's key, or `target`, `parent`, `rootfs`, `lease`, `condition`. */
export interface Reference {
  readonly from: ObjectName;
  readonly name: string;
}

/**
 * A back reference stays where the object that it comes from is gone, as it is written on its target; such an edge keeps
 * nothing.
 */
const comesFromSomething = `(name NOT GLOB 'containerd.io/gc.bref.*' OR CASE from_kind
  WHEN 'image' THEN EXISTS (SELECT 1 FROM images i WHERE i.namespace = refs.namespace AND i.name = from_key)
  WHEN 'container' THEN EXISTS (SELECT 1 FROM containers c WHERE c.namespace = refs.namespace AND c.id = from_key)
  WHEN 'content' THEN EXISTS (SELECT 1 FROM blobs b WHERE b.namespace = refs.namespace AND b.digest = from_key)
  WHEN 'snapshot' THEN EXISTS (SELECT 1 FROM snapshots s WHERE s.namespace = refs.namespace
    AND s.snapshotter = substr(from_key, 1, instr(from_key, '/') - 1)
    AND s.key = substr(from_key, instr(from_key, '/') + 1))
  END)`;

/** The references that point to an object. */
export function referencesTo(reader: Reader, { namespace, kind, key }: ObjectName): Reference[] {
  return reader.all<{ kind: string; key: string; name: string }>(
    "SELECT from_kind AS kind, from_key AS key, name FROM refs WHERE namespace = ? AND to_kind = ? AND to_key = ? " +
      `AND ${comesFromSomething} ORDER BY from_kind, from_key, name`,
    namespace,
    kind,
    key,
  ).map((row) => ({ from: { namespace, kind: row.kind, key: row.key }, name: row.name }));
}

/** One step of a chain: the object, and by which reference it keeps the next one. */
export interface ChainStep {
  readonly object: ObjectName;
  /** The reference to the next step's object; of the last step undefined. */
  readonly by?: string;
}

/** Why an object is there. */
export interface Why {
  /** The shortest chain from each root that keeps it, the root first and the object last. */
  readonly chains: readonly (readonly ChainStep[])[];
  /** Whether there are more roots than {@link WhyOptions.chainsMax}. */
  readonly more: boolean;
}

/** Options of {@link whyKept}. */
export interface WhyOptions {
  /** Now, in milliseconds since 1970. */
  readonly now: number;
  /** So many chains are told. */
  readonly chainsMax: number;
}

interface Found {
  readonly object: ObjectName;
  readonly by: string | undefined;
  readonly next: Found | undefined;
}

const nameOf = ({ namespace, kind, key }: ObjectName) => JSON.stringify([namespace, kind, key]);

/**
 * Walks the references backwards from an object to the roots, nearest first. `isRoot` says why an object is one, such
 * as `not expired`. References from a lease with the label `containerd.io/gc.flat` are followed as the collector does.
 */
export function whyKept(
  reader: Reader,
  object: ObjectName,
  isRoot: (object: ObjectName) => boolean,
  { now, chainsMax }: WhyOptions,
): Why {
  const conditional = conditionalRefs(reader, now);
  const seen = new Set<string>([nameOf(object)]);
  const queue: Found[] = [{ object, by: undefined, next: undefined }];
  const chains: ChainStep[][] = [];
  for (const found of queue) {
    if (isRoot(found.object)) {
      if (chains.length === chainsMax) return { chains, more: true };
      if (!isFlatRef(reader, found)) chains.push(chainOf(found));
    }
    const conditions = conditional.filter(({ namespace, target }) =>
      found.object.kind === "snapshot" && namespace === found.object.namespace && target === found.object.key
    ).map((from) => ({ from, name: "condition" }));
    for (const { from, name } of [...referencesTo(reader, found.object), ...conditions]) {
      const known = nameOf(from);
      if (seen.has(known)) continue;
      seen.add(known);
      queue.push({ object: { namespace: from.namespace, kind: from.kind, key: from.key }, by: name, next: found });
    }
  }
  return { chains, more: false };
}

/** Whether a chain begins at a flat lease and goes on through a label, which such a lease does not follow. */
function isFlatRef(reader: Reader, { object, next }: Found): boolean {
  if (object.kind !== "lease") return false;
  const [flat] = reader.all(
    "SELECT 1 AS flat FROM labels WHERE namespace = ? AND kind = 'lease' AND key = ? AND label = 'containerd.io/gc.flat'",
    object.namespace,
    object.key,
  );
  if (flat === undefined) return false;
  for (let step = next; step !== undefined; step = step.next) if (step.by?.startsWith("containerd.io/")) return true;
  return false;
}

function chainOf(found: Found): ChainStep[] {
  const chain: ChainStep[] = [];
  for (let step: Found | undefined = found; step !== undefined; step = step.next) {
    chain.push({ object: step.object, ...(step.by === undefined ? {} : { by: step.by }) });
  }
  return chain;
}

/** Whether an object is a root of the collection at the time `now`; see `mark.ts`. */
export function isRoot(reader: Reader, { namespace, kind, key }: ObjectName, now: number): boolean {
  const has = (sql: string, ...values: (string | number)[]) => reader.all(sql, ...values).length > 0;
  const label = (name: string) =>
    reader.all<{ value: string }>(
      "SELECT value FROM labels WHERE namespace = ? AND kind = ? AND key = ? AND label = ?",
      namespace,
      kind,
      key,
      name,
    )[0]?.value;
  const expired = () => Date.parse(label("containerd.io/gc.expire") ?? "") <= now;
  switch (kind) {
    case "image":
      return has("SELECT 1 FROM images WHERE namespace = ? AND name = ?", namespace, key) && !expired();
    case "lease":
      return has(
        "SELECT 1 FROM leases WHERE namespace = ? AND id = ? AND (expires IS NULL OR expires > ?)",
        namespace,
        key,
        now,
      ) && !expired();
    case "container":
      return has("SELECT 1 FROM containers WHERE namespace = ? AND id = ?", namespace, key);
    case "sandbox":
      return has("SELECT 1 FROM sandboxes WHERE namespace = ? AND id = ?", namespace, key);
    case "ingest":
      return has("SELECT 1 FROM ingests WHERE namespace = ? AND ref = ? AND expires > ?", namespace, key, now);
    case "content":
    case "snapshot":
      return has(
        "SELECT 1 FROM labels WHERE namespace = ? AND kind = ? AND key = ? AND label GLOB 'containerd.io/gc.root*'",
        namespace,
        kind,
        key,
      );
    default:
      return false;
  }
}
