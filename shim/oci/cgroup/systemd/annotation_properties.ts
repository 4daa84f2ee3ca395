/**
 * Properties that a spec's annotations ask for: `org.systemd.property.NAME` with a value in GVariant's text form.
 *
 * @module
 */
import { Failure, messageOf } from "../../../../api/errors.ts";
import type { Variant } from "../../../dbus/value.ts";
import { parseVariant } from "./gvariant.ts";
import { property, type UnitProperty } from "./property.ts";

const prefix = "org.systemd.property.";

/** Types of numbers; those of 64 bits are bigints here. */
const numberTypes = "ynqiuxtd";

/** The properties, in the annotations' order. Throws `InvalidArgument` with runc's texts. */
export function annotationProperties(annotations: Readonly<Record<string, string>> = {}): UnitProperty[] {
  return Object.entries(annotations).filter(([key]) => key.startsWith(prefix)).map(([key, text]) => {
    const name = key.slice(prefix.length);
    if (name.length < 3) throw new Failure("InvalidArgument", `annotation ${key} name incorrect: too short`);
    if (!/^[A-Za-z]+$/.test(name)) {
      throw new Failure("InvalidArgument", `annotation ${key} name incorrect: contains non-alphabetic character`);
    }
    try {
      return converted(name, parseVariant(text));
    } catch (cause) {
      const message = `annotation ${key}=${text} value parse error: ${messageOf(cause)}`;
      throw new Failure("InvalidArgument", message, { cause });
    }
  });
}

/** Times in seconds, as systemd's configuration has them, are given in microseconds over D-Bus and named so. */
function converted(name: string, value: Variant): UnitProperty {
  return /[a-z]Sec$/.test(name)
    ? property(`${name.slice(0, -3)}USec`, "t", microseconds(value))
    : property(name, value.signature, value.value);
}

function microseconds({ signature, value }: Variant): bigint {
  if (!numberTypes.includes(signature)) throw new Failure("InvalidArgument", "not a number");
  if (typeof value === "bigint") return BigInt.asUintN(64, value * 1_000_000n);
  // Of these types it is a number.
  return BigInt.asUintN(64, BigInt(Math.trunc((value as number) * 1_000_000)));
}
