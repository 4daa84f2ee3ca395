/**
 * The hosts of one image, asked one after the other.
 *
 * @module
 */
import { Failure, isFailure } from "../../../api/errors.ts";
import { LostConnection } from "./connection.ts";
import type { RegistryHost } from "./registry_host.ts";

/** What a host is asked for: to say what a tag means, or content. */
export type HostTask = "resolve" | "pull";

/** Hosts in the order of their settings; one that could not be reached is asked last from then on. */
export class HostList implements Disposable {
  readonly #lost = new Set<RegistryHost>();

  constructor(private readonly hosts: readonly RegistryHost[]) {}

  /** The last one, which is the registry's own server. */
  get upstream(): RegistryHost {
    return this.hosts.at(-1)!;
  }

  /**
   * What `ask` gives for the first host that can do it. Throws the failure that tells most where none can: an answer
   * tells more than a broken connection, and a refusal more than a "not found"; `NotFound` where no host is for the task.
   */
  async first<T>(task: HostTask, signal: AbortSignal, ask: (host: RegistryHost) => Promise<T>): Promise<T> {
    const able = this.hosts.filter(({ entry }) => task === "resolve" ? entry.resolves : entry.pulls);
    const order = [...able.filter((host) => !this.#lost.has(host)), ...able.filter((host) => this.#lost.has(host))];
    let kept: { readonly error: unknown; readonly weight: number } | undefined;
    for (const host of order) {
      try {
        return await ask(host);
      } catch (error) {
        signal.throwIfAborted();
        if (isUnreachable(error)) this.#lost.add(host);
        const weight = weightOf(error);
        if (kept === undefined || weight > kept.weight) kept = { error, weight };
      }
    }
    if (kept !== undefined) throw kept.error;
    throw new Failure(
      "NotFound",
      `no ${task} hosts: the hosts of the registry may all not do that, see "capabilities"`,
    );
  }

  [Symbol.dispose](): void {
    for (const host of this.hosts) host[Symbol.dispose]();
  }
}

function isUnreachable(error: unknown): boolean {
  return (error instanceof Failure && error.cause instanceof LostConnection) || isFailure(error, "DeadlineExceeded");
}

function weightOf(error: unknown): number {
  if (isUnreachable(error) || isFailure(error, "Unauthenticated")) return 0;
  return isFailure(error, "NotFound") ? 1 : 2;
}
