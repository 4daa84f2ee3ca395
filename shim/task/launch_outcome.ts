/**
 * What becomes of the launch of a container's process.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { Descriptor, readOnce } from "../../ffi/descriptor.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import type { Launched } from "../oci/launch.ts";

/**
 * Keeps the program that a process was launched by until it has executed its command, or has failed: it is a third of a
 * megabyte, of which a container that runs has no use.
 */
export class LaunchOutcome {
  /** The process; closed by {@link end}. */
  readonly pidfd: Descriptor;
  readonly pid: number;
  #launched: Launched | undefined;
  #watch: Watch | undefined;
  #failure: string | undefined;

  /** Takes the launched process over. */
  constructor(reactor: Reactor, launched: Launched) {
    this.pid = launched.child.pid;
    this.pidfd = new Descriptor(launched.child.pidfd);
    this.#launched = launched;
    // Its end of file says that the command is executed, or that the process has ended before.
    if (launched.report.isOpen) {
      this.#watch = reactor.watch(launched.report.number, flags("EPOLLIN"), () => this.#look());
    } else this.#settle();
  }

  #look(): void {
    const { report } = this.#launched ?? {};
    if (report !== undefined && readOnce(report.number, new Uint8Array(1)) === 0) this.#settle();
  }

  #settle(): void {
    this.#watch?.close();
    this.#watch = undefined;
    if (this.#launched === undefined) return;
    const { child, report } = this.#launched;
    this.#launched = undefined;
    this.#failure = child.failure()?.message;
    report.close();
    child.arena.close();
  }

  /** Why the command was not executed, once the process has ended. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** To be called when the process has ended. */
  end(): void {
    this.#settle();
    this.pidfd.close();
  }
}
