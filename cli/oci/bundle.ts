/**
 * Reads a bundle: `config.json` and the root file system beside it.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import type { RootSource } from "../../shim/oci/plan/facts.ts";
import { parseSpec } from "../../shim/oci/spec/parse.ts";

/** The bundle's absolute path; the working directory without one. */
export function bundleOf(given: string | undefined): string {
  if (given === undefined || given === "") return Deno.cwd();
  try {
    return Deno.realPathSync(given);
  } catch (error) {
    throw new Failure("NotFound", `bundle "${given}" does not exist`, { cause: error });
  }
}

/** The spec and root of a bundle. Throws `NotFound` or `InvalidArgument` with what is wrong. */
export function loadBundle(bundle: string): { spec: Spec; root: RootSource } {
  let text: string;
  try {
    text = Deno.readTextFileSync(`${bundle}/config.json`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Failure("NotFound", `JSON specification file config.json not found in "${bundle}"`, { cause: error });
  }
  const spec = parseSpec(text);
  const given = spec.root?.path ?? "rootfs";
  const path = given.startsWith("/") ? given : `${bundle}/${given}`;
  try {
    if (Deno.lstatSync(path).isSymlink) {
      throw new Failure("InvalidArgument", `root.path "${given}" is a symbolic link; name the directory itself`);
    }
    return { spec, root: { kind: "directory", path: Deno.realPathSync(path) } };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Failure("NotFound", `root.path "${path}" does not exist`, { cause: error });
  }
}
