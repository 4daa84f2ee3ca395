/**
 * The standard streams of a checkpointed container, by the names that `/proc/PID/fd` has for them: the pipes among them
 * are those of whoever restores it then. They are kept beside the images, as runc does.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

const fileName = "descriptors.json";

/** Writes them into the directory of the images. */
export function writeStreamNames(imagePath: string, streams: readonly string[]): void {
  Deno.writeTextFileSync(`${imagePath}/${fileName}`, JSON.stringify(streams), { mode: 0o600 });
}

/** Reads them. Throws `NotFound` where the directory holds no images of a runtime, `DataLoss` where they are damaged. */
export function readStreamNames(imagePath: string): string[] {
  const path = `${imagePath}/${fileName}`;
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Failure("NotFound", `open ${path}: no such file or directory`, { cause: error });
  }
  try {
    const names: unknown = JSON.parse(text);
    if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names;
  } catch {
    // Said below.
  }
  throw new Failure("DataLoss", `"${path}" is no list of the names of standard streams`);
}

/** The pipes among them, for criu to take its own streams instead. */
export function inheritedStreams(names: readonly string[]): { key: string; fd: number }[] {
  return names.map((key, fd) => ({ key, fd })).filter(({ key, fd }) => fd < 3 && key.startsWith("pipe:"));
}
