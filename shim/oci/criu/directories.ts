/**
 * The directories of a checkpoint's images and logs.
 *
 * @module
 */
import { flags } from "../../../ffi/constants.ts";
import { type Descriptor, openFile } from "../../../ffi/descriptor.ts";
import type { CriuOptions } from "./criu_options.ts";
import type { Directories } from "./requests.ts";

/** Both, open for as long as criu works. */
export interface OpenDirectories extends Directories, Disposable {
  /** Where the logs are. */
  readonly logPath: string;
}

/** Makes those that are missing, and opens them. */
export function openDirectories({ imagePath, workPath }: CriuOptions): OpenDirectories {
  Deno.mkdirSync(imagePath, { recursive: true, mode: 0o700 });
  const open = (path: string): Descriptor => openFile(path, flags("O_RDONLY", "O_DIRECTORY"));
  const images = open(imagePath);
  let work: Descriptor | undefined;
  try {
    if (workPath !== undefined) Deno.mkdirSync(workPath, { recursive: true, mode: 0o700 });
    work = workPath === undefined ? undefined : open(workPath);
  } catch (error) {
    images.close();
    throw error;
  }
  return {
    images: images.number,
    work: work?.number,
    logPath: workPath ?? imagePath,
    [Symbol.dispose]: () => {
      images.close();
      work?.close();
    },
  };
}
