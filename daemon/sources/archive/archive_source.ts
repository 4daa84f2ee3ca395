/**
 * An image in an archive: `tar:FILE[:NAME]`, an OCI layout or what `docker save` writes.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { splitPath } from "../layout/directory.ts";
import { openLayout } from "../layout/layout_source.ts";
import { readSmall } from "../layout/named_files.ts";
import type { ImageSource, SourceOptions } from "../source.ts";
import { openDockerSave } from "./docker_save.ts";
import { TarFiles } from "./tar_files.ts";

/** Opens `FILE[:NAME]`. An archive that is both kinds counts as OCI. Throws as `openSource` does. */
export async function openArchive(text: string, options: SourceOptions): Promise<ImageSource> {
  const { path, tag } = await splitPath(text, (info) => info.isFile, "regular file");
  const signal = options.signal ?? new AbortController().signal;
  const files = await TarFiles.open(path, options.temporaryDirectory, signal);
  try {
    if (files.find("oci-layout") !== undefined) return await openLayout(files, tag, path, signal);
    const manifestJson = await readSmall(files, "manifest.json", signal);
    if (manifestJson !== undefined) return openDockerSave(files, manifestJson, tag, path);
    throw new Failure(
      "InvalidArgument",
      `unrecognized image format: ${files.place} has neither oci-layout nor manifest.json`,
    );
  } catch (error) {
    await files[Symbol.asyncDispose]();
    throw error;
  }
}
