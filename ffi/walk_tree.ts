/**
 * Walking a tree that somebody else has made: of any depth, with bounded memory and descriptors, and without leaving it.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { DirectoryChain } from "./directory_chain.ts";
import { DirectoryReader, type EntryType, pathOf } from "./directory_entries.ts";
import { errnoNumber, SyscallError } from "./errno.ts";
import { openAt } from "./files.ts";

/**
 * What a walk comes to. `fd` is open until the next step.
 *
 * - `entry`: a name in the directory `fd` that is no directory
 * - `mount`: a directory in `fd` on which something is mounted, which is not entered
 * - `enter`: the directory `fd` itself, called `name`, before what is in it
 * - `leave`: the same, after it
 */
export interface TreeStep {
  readonly kind: "entry" | "mount" | "enter" | "leave";
  readonly fd: number;
  readonly name: string;
  /** Directories above `fd`, below the root. */
  readonly depth: number;
}

/** Opens the root of a walk, which must not be a link. Throws {@link SyscallError}. */
export function openTree(path: string): number {
  return openAt(flags("AT_FDCWD"), path, flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW"));
}

/**
 * Everything below a directory, whose descriptor is taken over; the directory itself is no step. Names that vanish
 * meanwhile are passed over. Throws {@link SyscallError}: `ESTALE` where a directory on the way was moved elsewhere.
 */
export function* walkTree(root: number): Generator<TreeStep> {
  using chain = new DirectoryChain(root);
  /** Of the directories on the way: what is read of the open ones, and where the others go on. */
  const levels: { readonly name: string; reader: DirectoryReader; goesOn: bigint }[] = [
    { name: "", reader: new DirectoryReader(root), goesOn: 0n },
  ];
  for (let level; (level = levels.at(-1)) !== undefined;) {
    const entry = level.reader.next();
    const { fd, depth } = chain;
    if (entry === undefined) {
      if (depth === 0) return;
      yield { kind: "leave", fd, name: level.name, depth };
      levels.pop();
      const above = levels.at(-1)!;
      if (chain.leave() === "open") continue;
      above.reader = new DirectoryReader(chain.fd);
      above.reader.seek(above.goesOn);
      continue;
    }
    const { name } = entry;
    if (!isDirectory(entry.type)) {
      yield { kind: "entry", fd, name, depth };
      continue;
    }
    const result = chain.tryEnter(name);
    if (result === 0) {
      level.goesOn = entry.cookie;
      levels.push({ name, reader: new DirectoryReader(chain.fd), goesOn: 0n });
      // What its reader holds is read again from `goesOn`.
      const closed = levels.at(-1 - openReaders);
      if (closed !== undefined) closed.reader = none;
      yield { kind: "enter", fd: chain.fd, name, depth: depth + 1 };
    } else if (result === -errnoNumber("EXDEV")) yield { kind: "mount", fd, name, depth };
    else if (result === -errnoNumber("ENOTDIR") || result === -errnoNumber("ELOOP")) {
      yield { kind: "entry", fd, name, depth };
    } else if (result !== -errnoNumber("ENOENT")) throw new SyscallError("openat2", -result, pathOf(fd, name));
  }
}

/** As many as the chain keeps open; memory is let go with the descriptor. */
const openReaders = 32;
const none = new DirectoryReader(-1);

/** Where the file system does not tell, opening it as a directory does. */
function isDirectory(type: EntryType): boolean {
  return type === "directory" || type === undefined;
}
