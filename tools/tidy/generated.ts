/**
 * Generated files are what their sources give.
 *
 * @module
 */
import { generated } from "../generate.ts";

/** Programs and headers that the generators need, all from Debian's packages; ts-proto comes from npm. */
const needs = [
  "/usr/bin/gcc",
  "/usr/bin/x86_64-linux-gnu-as",
  "/usr/bin/aarch64-linux-gnu-as",
  "/usr/aarch64-linux-gnu/include/asm/unistd.h",
  "/usr/arm-linux-gnueabihf/include/asm/unistd.h",
  "/usr/bin/protoc",
  "/usr/include/google/protobuf/any.proto",
];

/** What the generators lack here; undefined where they can run. */
export function generatorsLack(): string | undefined {
  return needs.find((path) => {
    try {
      return !Deno.statSync(path).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return true;
      throw error;
    }
  });
}

/** The files of `text` (path → what their sources give) that differ from what `read` has. */
export function staleFiles(text: ReadonlyMap<string, string>, read: (path: string) => string | undefined): string[] {
  return [...text].filter(([path, wanted]) => read(path) !== wanted)
    .map(([path]) => `${path}: is not what its sources give: run deno task generate`);
}

/** The generated files below the root that are not up to date. Needs what {@link generatorsLack} tells. */
export async function checkGenerated(root: URL): Promise<string[]> {
  return staleFiles(await generated(), (path) => {
    try {
      return Deno.readTextFileSync(new URL(path, root));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  });
}
