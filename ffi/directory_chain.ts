/**
 * A way down through directories, of any depth, with few of them open.
 *
 * @module
 */
import { openChildDirectory, pathOf } from "./directory_entries.ts";
import { flags } from "./constants.ts";
import { errnoNumber, SyscallError } from "./errno.ts";
import { pathArgument } from "./path.ts";
import { attempt } from "./syscall.ts";

/** A directory costs 50 bytes of memory on the way; a file system with this many in each other exists to do harm. */
const depthMax = 1_000_000;

/** Options of {@link DirectoryChain}. */
export interface ChainOptions {
  /** Directories that are open at once; those above are opened anew on the way back. Default: 32. */
  readonly openMax?: number;
}

/** Which directory it is: number of its file system and of itself. */
interface Identity {
  readonly device: bigint;
  readonly inode: bigint;
}

const statBytes = new Uint8Array(256);
const statView = new DataView(statBytes.buffer);

function identityOf(fd: number): Identity {
  const STATX_INO = 0x100;
  const result = attempt("statx", fd, pathArgument(""), flags("AT_EMPTY_PATH"), STATX_INO, statBytes);
  if (result < 0) throw new SyscallError("statx", -result, pathOf(fd));
  return { device: statView.getBigUint64(136, true), inode: statView.getBigUint64(32, true) };
}

/**
 * The directories from a root down to the one that is looked at now. Links are not followed and mounts not entered. The way
 * back is `..`, and ends with `ESTALE` where somebody has moved a directory meanwhile.
 */
export class DirectoryChain implements Disposable {
  /** Descriptors of the innermost ones; the others are closed and known by their identities. */
  readonly #open: number[];
  readonly #closed: Identity[] = [];
  readonly #openMax: number;

  /** Takes over the descriptor of the root. */
  constructor(root: number, { openMax = 32 }: ChainOptions = {}) {
    this.#open = [root];
    this.#openMax = openMax;
  }

  /** The innermost directory's descriptor, until {@link enter} or {@link leave}. */
  get fd(): number {
    return this.#open.at(-1)!;
  }

  /** Directories above the innermost one. */
  get depth(): number {
    return this.#closed.length + this.#open.length - 1;
  }

  /** Goes into a directory of the innermost one. Throws {@link SyscallError}: `EXDEV` at a mount, `ELOOP` at a link. */
  enter(name: string): void {
    const result = this.tryEnter(name);
    if (result < 0) throw new SyscallError("openat2", -result, pathOf(this.fd, name));
  }

  /** As {@link enter}; gives 0 or the negative errno of what kept it out. */
  tryEnter(name: string): number {
    if (this.depth >= depthMax) return -errnoNumber("ENAMETOOLONG");
    const fd = openChildDirectory(this.fd, pathArgument(name));
    if (fd < 0) return fd;
    this.#open.push(fd);
    if (this.#open.length > this.#openMax) {
      const oldest = this.#open.shift()!;
      this.#closed.push(identityOf(oldest));
      attempt("close", oldest);
    }
    return 0;
  }

  /**
   * Goes back to the directory above, and says whether that was opened anew: it is read from its beginning then. Throws
   * {@link SyscallError}.
   */
  leave(): "open" | "reopened" {
    const inner = this.#open.at(-1)!;
    if (this.#open.length > 1) {
      this.#open.pop();
      attempt("close", inner);
      return "open";
    }
    const known = this.#closed.pop();
    if (known === undefined) throw new RangeError("the way back ends at the root");
    const how = flags("O_RDONLY", "O_DIRECTORY", "O_CLOEXEC");
    const resolve = flags("RESOLVE_NO_XDEV");
    const above = attempt("openat2", inner, "..", BigUint64Array.of(BigInt(how), 0n, BigInt(resolve)), 24);
    if (above < 0) throw new SyscallError("openat2", -above, pathOf(inner, ".."));
    this.#open[0] = above;
    attempt("close", inner);
    const { device, inode } = identityOf(above);
    if (device !== known.device || inode !== known.inode) {
      throw new SyscallError("openat2", errnoNumber("ESTALE"), pathOf(above));
    }
    return "reopened";
  }

  /** Closes all of it. */
  [Symbol.dispose](): void {
    for (const fd of this.#open.splice(0)) attempt("close", fd);
  }
}
