/**
 * Messages of protocol buffers by tables of their fields.
 *
 * criu is spoken to once in a container's life at most, by a program whose start is measured in microseconds: the few
 * fields that matter are data here, where generated messages would be a hundred times the text.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/** What a field holds. */
export type Kind = "int" | "bool" | "text" | Shape;

/** A field: its number, what it holds, and whether it may be there more than once. */
export interface Field<K extends Kind = Kind, R extends boolean = boolean> {
  readonly number: number;
  readonly kind: K;
  readonly repeated: R;
}

/** The fields of a message, by name. */
export interface Shape {
  readonly [name: string]: Field;
}

type One<K> = K extends "int" ? number
  : K extends "bool" ? boolean
  : K extends "text" ? string
  : K extends Shape ? Message<K>
  : never;

/** A message: what is undefined is not there, and what is zero or empty is. */
export type Message<S extends Shape> = {
  [N in keyof S]?: S[N] extends Field<infer K, infer R> ? R extends true ? readonly One<K>[] : One<K> : never;
};

/** A field that is there once at most. */
export function one<K extends Kind>(number: number, kind: K): Field<K, false> {
  return { number, kind, repeated: false };
}

/** A field that may be there any number of times. */
export function many<K extends Kind>(number: number, kind: K): Field<K, true> {
  return { number, kind, repeated: true };
}

/** Wire types: a varint, eight bytes, bytes with their length before them, four bytes. */
const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Adds a varint; a negative number is sign-extended to 64 bits, as int32 and int64 have it. */
function addVarint(into: number[], value: number): void {
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) into.push(Number(rest & 0x7fn) | 0x80);
  into.push(Number(rest));
}

/** The message's bytes. */
export function encode<S extends Shape>(shape: S, message: Message<S>): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (const [name, { number, kind, repeated }] of Object.entries<Field>(shape)) {
    const value: unknown = message[name];
    if (value === undefined) continue;
    // By its type a repeated field holds a list.
    for (const entry of repeated ? value as readonly unknown[] : [value]) {
      if (kind === "int" || kind === "bool") {
        addVarint(bytes, number << 3 | wire.varint);
        addVarint(bytes, Number(entry));
        continue;
      }
      // What is neither number nor flag is a text or a message, as its type says.
      const inner = kind === "text" ? new TextEncoder().encode(entry as string) : encode(kind, entry as Message<Shape>);
      addVarint(bytes, number << 3 | wire.bytes);
      addVarint(bytes, inner.length);
      for (const byte of inner) bytes.push(byte);
    }
  }
  return Uint8Array.from(bytes);
}

/** Reads a message's fields; unknown ones are passed over. */
class Reader {
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  get ended(): boolean {
    return this.#at >= this.bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw broken();
  }

  take(count: number): Uint8Array {
    const end = this.#at + count;
    if (count < 0 || end > this.bytes.length) throw broken();
    const taken = this.bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  /** Passes over a value of the wire type. */
  skip(type: number): void {
    if (type === wire.varint) this.varint();
    else if (type === wire.fixed64) this.take(8);
    else if (type === wire.fixed32) this.take(4);
    else if (type === wire.bytes) this.take(Number(this.varint()));
    else throw broken();
  }
}

function broken(): Failure {
  return new Failure("DataLoss", "the message is no protocol buffer");
}

/** Reads a message. Throws `DataLoss` where the bytes are none. */
export function decode<S extends Shape>(shape: S, bytes: Uint8Array): Message<S> {
  const names = new Map(Object.entries<Field>(shape).map(([name, field]) => [field.number, { name, ...field }]));
  const message: Record<string, unknown> = {};
  for (const reader = new Reader(bytes); !reader.ended;) {
    const tag = Number(reader.varint());
    const type = tag & 7;
    const field = names.get(tag >>> 3);
    const isNumber = field?.kind === "int" || field?.kind === "bool";
    if (field === undefined || type !== (isNumber ? wire.varint : wire.bytes)) {
      reader.skip(type);
      continue;
    }
    const value = valueOf(field.kind, reader);
    if (!field.repeated) message[field.name] = value;
    // Made by this very line.
    else message[field.name] = [...(message[field.name] as unknown[] | undefined ?? []), value];
  }
  // Each value is of its field's kind.
  return message as Message<S>;
}

function valueOf(kind: Kind, reader: Reader): unknown {
  if (kind === "int") return Number(reader.varint());
  if (kind === "bool") return reader.varint() !== 0n;
  const bytes = reader.take(Number(reader.varint()));
  return kind === "text" ? new TextDecoder().decode(bytes) : decode(kind, bytes);
}
