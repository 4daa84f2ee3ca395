/**
 * What labels refer to: `containerd.io/gc.ref.*`.
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

const prefix = "containerd.io/gc.ref.";

/**
 * The references that labels make: `…gc.ref.content[.suffix]`, `…gc.ref.image[.suffix]` and
 * `…gc.ref.snapshot.<snapshotter>[/suffix]`; a suffix may begin with `.` or `/` except after a snapshotter, whose
 * name may hold dots.
 */
export function labelRefs(labels: Labels): LabelRef[] {
  const refs: LabelRef[] = [];
  for (const [name, value] of Object.entries(labels)) {
    if (!name.startsWith(prefix)) continue;
    const rest = name.slice(prefix.length);
    if (/^content($|[./])/.test(rest)) refs.push({ kind: "content", key: value, name });
    else if (/^image($|[./])/.test(rest)) refs.push({ kind: "image", key: value, name });
    else if (rest.startsWith("snapshot.")) {
      const snapshotter = rest.slice("snapshot.".length).split("/", 1)[0]!;
      refs.push({ kind: "snapshot", key: `${snapshotter}/${value}`, name });
    }
  }
  return refs;
}

const encoder = new TextEncoder();

/** Throws `InvalidArgument` where a label is too long to be kept. */
export function checkLabels(labels: Labels): void {
  for (const [key, value] of Object.entries(labels)) {
    const bytes = encoder.encode(key).length + encoder.encode(value).length;
    if (bytes > labelBytesMax) {
      throw new Failure(
        "InvalidArgument",
        `label "${key.slice(0, 64)}" is too long: key and value have ${bytes} bytes, at most ${labelBytesMax} are kept`,
      );
    }
  }
}
