/**
 * From the text of a `config.json` to a spec that can be relied on.
 *
 * @module
 */
import type { Process, Resources, Spec } from "../../../api/oci/runtime_spec.ts";
import { parseJson } from "./json.ts";
import type { Shape } from "./shape.ts";
import { processShape, resourcesShape, specShape } from "./spec_shape.ts";
import { validateProcess, validateSpec } from "./validate.ts";

/**
 * The spec of a `config.json`. What it wants may still be more than the host has.
 * Throws `InvalidArgument` that names the property.
 */
export function parseSpec(text: string): Spec {
  const spec = checked<Spec>(text, "config.json", specShape, "");
  if (spec.process !== undefined) addUser(spec.process);
  const { seccomp } = spec.linux ?? {};
  // An empty profile is none for runc.
  if (seccomp?.defaultAction === "" && (seccomp.syscalls ?? []).length === 0) delete spec.linux!.seccomp;
  validateSpec(spec);
  return spec;
}

/** The process of a file for `exec --process`. Throws `InvalidArgument` that names the property. */
export function parseProcess(text: string): Process {
  const process = checked<Process>(text, "the process file", processShape, "process");
  addUser(process);
  validateProcess(process);
  return process;
}

/** The limits of a file for `update --resources`. Throws `InvalidArgument` that names the property. */
export function parseResources(text: string): Resources {
  // For Go programs null is nothing to change.
  return checked<Resources | null>(text, "the resources file", nullOr(resourcesShape), "linux.resources") ?? {};
}

function nullOr(shape: Shape): Shape {
  return (value, path) => value === null || shape(value, path);
}

function checked<T>(text: string, what: string, shape: Shape, path: string): T {
  const value = parseJson(text, what);
  shape(value, path);
  // The shape is the type, as data.
  return value as T;
}

/** Go programs leave root out, whose numbers are the zero values of the type. */
function addUser(process: Process): void {
  const given: Partial<Process["user"]> | undefined = process.user;
  process.user = { ...given, uid: given?.uid ?? 0, gid: given?.gid ?? 0 };
}
