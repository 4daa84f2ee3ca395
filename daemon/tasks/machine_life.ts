/**
 * Whether the machine was started anew since the daemon before this one: what its tasks were then is gone, though a state
 * directory that outlives the machine still tells of it.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import { readTextIfThere } from "../../ffi/if_there.ts";
import type { Logger } from "../log/logger.ts";

/** The name of the file; names with a dot in front are no namespaces. */
const fileName = ".machine";

/** One start of the machine, or of the container that the daemon runs in. */
export class MachineLife {
  readonly #path: string;
  readonly #now: string;
  /** Whether another one was noted. */
  readonly isNew: boolean;

  /** Reads what was noted in the directory. */
  constructor(directory: string) {
    this.#path = `${directory}/${fileName}`;
    this.#now = currentLife();
    const noted = readTextIfThere(this.#path);
    this.isNew = noted !== undefined && noted !== this.#now;
  }

  /** Notes this one, when what the one before has left is cleaned up. */
  note(log: Logger): void {
    try {
      if (readTextIfThere(this.#path) !== this.#now) Deno.writeTextFileSync(this.#path, this.#now, { mode: 0o600 });
    } catch (error) {
      // Such as a full disk: without the note, tasks are looked at one by one as always.
      log.warn("cannot note the start of the machine", { path: this.#path, reason: messageOf(error) });
    }
  }
}

/** The kernel's start, and that of the first process, which is another one in each container. */
function currentLife(): string {
  const boot = readTextIfThere("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
  // After the name, which may hold anything, the 22nd field is the 20th (proc_pid_stat(5)).
  const stat = readTextIfThere("/proc/1/stat") ?? "";
  const began = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  return `${boot} ${began} ${Deno.readLinkSync("/proc/self/ns/pid")}\n`;
}
