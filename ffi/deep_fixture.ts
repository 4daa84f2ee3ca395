/**
 * Trees deeper than a path may be long, as containers can make them.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { closeFile, makeDirectoryAt, openAt } from "./files.ts";

/** Makes so many directories in each other below `path`, all called `name`. The innermost one is `filled`, if it is to be. */
export function dig(path: string, depth: number, name: string, fill: (innermost: number) => void = () => {}): void {
  const how = flags("O_PATH", "O_DIRECTORY");
  let fd = openAt(flags("AT_FDCWD"), path, how);
  for (let level = 0; level < depth; level++) {
    makeDirectoryAt(fd, name, 0o755);
    const next = openAt(fd, name, how);
    closeFile(fd);
    fd = next;
  }
  fill(fd);
  closeFile(fd);
}
