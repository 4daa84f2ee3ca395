/**
 * What labels refer to: `containerd.io/gc.ref.*` and, the other way round, `containerd.io/gc.bref.*`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** Kinds of objects that labels and references are kept for; see `schema.ts` for their keys. */
export type ObjectKind =
  | "image"
  | "container"
  | "lease"
  | "content"
  | "ingest"
  | "snapshot"
  | "sandbox"
  | "namespace";

/** Labels by key. */
export type Labels = Readonly<Record<string, string>>;

/** One edge from the holder of a label to another object; `name` is the label's key. */
export interface LabelRef {
  readonly kind: ObjectKind;
  readonly key: string;
  readonly name: string;
}

/** Bytes of a label's key and value together, as containerd limits them. */
export const labelBytesMax = 4096;

/** How labels begin that make references. */
export const refPrefix = "containerd.io/gc.ref.";
/** How labels begin that make back references: their holder lives while the object that they name lives. */
export const backRefPrefix = "containerd.io/gc.bref.";

/**
 * The references that labels make: `…gc.ref.content[.suffix]`, `…gc.ref.image[.suffix]` and
 * `…gc.ref.snapshot.<snapshotter>[/suffix]`; a suffix may begin with `.` or `/` except after a snapshotter, whose
 * name may hold dots.
 */
export function labelRefs(labels: Labels): LabelRef[] {
  return refsOf(labels, refPrefix, /^(content|image)(?:$|[./])/);
}

/**
 * The back references that labels make, from the other objects to the holder of the labels; they are written as
 * references are, and there is `…gc.bref.container[.suffix]` as well.
 */
export function labelBackRefs(labels: Labels): LabelRef[] {
  return refsOf(labels, backRefPrefix, /^(content|image|container)(?:$|[./])/);
}

function refsOf(labels: Labels, prefix: string, named: RegExp): LabelRef[] {
  const refs: LabelRef[] = [];
  for (const [name, value] of Object.entries(labels)) {
    if (!name.startsWith(prefix)) continue;
    const rest = name.slice(prefix.length);
    // The expressions have object kinds as their only group.
    const kind = named.exec(rest)?.[1] as ObjectKind | undefined;
    if (kind !== undefined) refs.push({ kind, key: value, name });
    else if (rest.startsWith("snapshot.")) {
      const snapshotter = rest.slice("snapshot.".length).split("/", 1)[0]!;
      refs.push({ kind: "snapshot", key: `${snapshotter}/${value}`, name });
    }
  }
  return refs;
}

const encoder = new TextEncoder();

/**
 * Throws `InvalidArgument` where a label is too long to be kept, in containerd's words; `place` begins the text, such as
 * `image.Labels: `.
 */
export function checkLabels(labels: Labels, place = ""): void {
  for (const [key, value] of Object.entries(labels)) {
    // A character is three bytes at most: usual labels need not be encoded to be counted.
    if ((key.length + value.length) * 3 <= labelBytesMax) continue;
    const bytes = encoder.encode(key).length + encoder.encode(value).length;
    if (bytes > labelBytesMax) {
      throw new Failure(
        "InvalidArgument",
        `${place}label key and value length (${bytes} bytes) greater than maximum size (${labelBytesMax} bytes), ` +
          `key: ${key.slice(0, 64)}`,
      );
    }
  }
}

/** How errors about a label without a name begin, as containerd's do. */
const nameless: Partial<Record<ObjectKind, (key: string) => string>> = {
  container: (key) => `failed to write container ${JSON.stringify(key)}: `,
  image: (key) => `writing labels for image ${key}: `,
  content: (key) => `writing labels for info ${key}: `,
  snapshot: () => "failed to read labels: ",
};

/**
 * Throws `Unknown` where a label has no name, in containerd's words: its database cannot keep such, and whoever writes one
 * has made a mistake. Labels without a value are none.
 */
export function checkLabelNames(labels: Labels, kind?: ObjectKind, key = ""): void {
  const value = labels[""];
  if (value === undefined || value === "") return;
  const place = kind === undefined ? "" : nameless[kind]?.(key) ?? "";
  const what = kind === "namespace" ? "" : `failed to set label ""=${JSON.stringify(value)}: `;
  throw new Failure("Unknown", `${place}${what}key required`);
}
