/**
 * Properties of systemd units, as they go over D-Bus.
 *
 * @module
 */
import { type Value, type Variant, variant } from "../../../dbus/value.ts";

/** A property's name and value (org.freedesktop.systemd1(5)). */
export interface UnitProperty {
  readonly name: string;
  readonly value: Variant;
}

/** A property of a type's signature. */
export function property(name: string, signature: string, value: Value): UnitProperty {
  return { name, value: variant(signature, value) };
}

/** One that counts; -1, which is no limit, becomes the largest number, systemd's infinity. Throws for fractions. */
export function amount(name: string, value: number | bigint): UnitProperty {
  return property(name, "t", BigInt.asUintN(64, BigInt(value)));
}
