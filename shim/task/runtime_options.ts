/**
 * The runtime options of a container (`containerd.runc.v1.Options`).
 *
 * @module
 */
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { readTextIfThere } from "../../ffi/if_there.ts";

/** The options as the API has them; zero values stand for what is not set. */
export type RuntimeOptions = Options;

/** Name of the options' message. */
export const optionsType = "containerd.runc.v1.Options";
const fileName = "options.json";

/** The options as a request has them; undefined where all of them are the defaults. */
export function wireOptions(options: RuntimeOptions): Any | undefined {
  const value = Options.encode(options).finish();
  return value.length === 0 ? undefined : { typeUrl: optionsType, value };
}

/** A text that is the same for the same options; empty for the defaults, whether they were said or not. */
export function optionsKeyOf(options: RuntimeOptions): string {
  return wireOptions(options) === undefined ? "" : JSON.stringify(options);
}

/** Keeps the options in the bundle, for `delete`; as containerd's shim does it, zero values are left out. */
export function writeOptions(bundle: string, options: RuntimeOptions): void {
  const fields = Object.entries(options).filter(([, value]) => value !== "" && value !== 0 && value !== false);
  const snake = fields.map(([key, value]) => [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]);
  Deno.writeTextFileSync(`${bundle}/${fileName}`, JSON.stringify(Object.fromEntries(snake)), { mode: 0o600 });
  Deno.writeTextFileSync(`${bundle}/runtime`, options.binaryName, { mode: 0o600 });
}

/** The options that a bundle was created with; the defaults where it was not. */
export function readOptions(bundle: string): RuntimeOptions {
  const text = readTextIfThere(`${bundle}/${fileName}`);
  if (text === undefined) return Options.create();
  // Written by writeOptions.
  const fields = Object.entries(JSON.parse(text) as Record<string, string | number | boolean>);
  const camel = fields.map((
    [key, value],
  ) => [key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()), value]);
  return Options.create(Object.fromEntries(camel));
}

/**
 * Directory of the runtime's state. Without `root` it is in the bundle itself: what is removed with that cannot be left
 * over, and two daemons on one host cannot meet there.
 */
export function stateRootOf(options: RuntimeOptions, namespace: string, bundle: string): string {
  return options.root === "" ? `${bundle}/runtime.d` : `${options.root}/${namespace}`;
}
