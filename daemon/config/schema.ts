/**
 * What a table of the configuration may hold, as data: defaults, checks, reports of unknown keys and the texts of
 * `config default` follow from it, and so do the types of what is read.
 *
 * @module
 */

interface FieldBase {
  /** What it is for; one clause without a final period. */
  readonly about: string;
  /** What to use instead; a value that is not zero is reported. */
  readonly deprecated?: string;
  /** Why it has no effect here, though containerd has it; a value that is not zero is reported. */
  readonly ineffective?: string;
  /** Left out of generated configurations as long as nobody sets it. */
  readonly quiet?: true;
}

/** A text. */
export interface StringField extends FieldBase {
  readonly type: "string";
  readonly default: string;
  /** All that it may be, besides the default. */
  readonly choices?: readonly string[];
}

/** A whole number. */
export interface IntField extends FieldBase {
  readonly type: "int";
  readonly default: number;
  readonly min?: number;
  readonly max?: number;
}

/** A number; whole ones are welcome. */
export interface FloatField extends FieldBase {
  readonly type: "float";
  readonly default: number;
  readonly min?: number;
  readonly max?: number;
}

/** True or false. */
export interface BoolField extends FieldBase {
  readonly type: "bool";
  readonly default: boolean;
}

/** Go's text of a duration; read as milliseconds. */
export interface DurationField extends FieldBase {
  readonly type: "duration";
  readonly default: string;
}

/** A list of texts. */
export interface StringsField extends FieldBase {
  readonly type: "strings";
  readonly default: readonly string[];
}

/** A table with keys of its own. */
export interface TableField extends FieldBase {
  readonly type: "table";
  readonly fields: Schema;
}

/** A list of tables, empty by default. */
export interface TablesField extends FieldBase {
  readonly type: "tables";
  readonly fields: Schema;
}

/** A table whose keys the user chooses; empty by default. */
export interface MapField extends FieldBase {
  readonly type: "map";
  readonly of: Field;
}

/** Anything: somebody else reads it. */
export interface OpenField extends FieldBase {
  readonly type: "open";
}

/** One key of a table. */
export type Field =
  | StringField
  | IntField
  | FloatField
  | BoolField
  | DurationField
  | StringsField
  | TableField
  | TablesField
  | MapField
  | OpenField;

/** Fields by key, in the order in which they are printed. */
export type Schema = Readonly<Record<string, Field>>;

/** The configuration of a plugin, by the URI under which it stands in `[plugins]`. */
export interface PluginSchema<S extends Schema = Schema> {
  /** Type and id: `io.containerd.gc.v1.scheduler`. */
  readonly uri: string;
  readonly fields: S;
}

/** The name in our code of a key of the file: `pause_threshold` is `pauseThreshold`. */
export type NameOf<K extends string> = K extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<NameOf<Tail>>}`
  : K;

/** What a field is read as. */
export type ValueOf<F extends Field> = F extends StringField ? string
  : F extends IntField | FloatField | DurationField ? number
  : F extends BoolField ? boolean
  : F extends StringsField ? readonly string[]
  : F extends TableField ? ValuesOf<F["fields"]>
  : F extends TablesField ? readonly ValuesOf<F["fields"]>[]
  : F extends MapField ? ReadonlyMap<string, ValueOf<F["of"]>>
  : import("./tree.ts").Item | undefined;

/** What a table is read as. */
export type ValuesOf<S extends Schema> = { readonly [K in keyof S & string as NameOf<K>]: ValueOf<S[K]> };

/** See {@link NameOf}. */
export function nameOf(key: string): string {
  return key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
