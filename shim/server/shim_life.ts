/**
 * How long a shim stays: as long as it has containers, and as somebody may bring one.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import { after } from "../../ffi/timer.ts";

/** Options of {@link ShimLifetime}. */
export interface LifetimeOptions {
  /** Containers that it takes at once. */
  readonly placesMax: number;
  /** Whether it stays after its last container although containerd has no further use for it. */
  readonly lingers: boolean;
}

/** Who starts a shim creates its container at once; a daemon that dies in between never does. */
const firstMsMax = 100_000;
/** After the last container. Containers that come one after another are the rule. */
const lingerMs = 10_000;
/** Between a reservation and its container. */
const reservationMsMax = 30_000;

/** Counts containers and reservations, and says when nobody needs the shim any more. */
export class ShimLifetime {
  readonly #containers = new Set<string>();
  readonly #reserved = new Map<string, Watch>();
  readonly #over = Promise.withResolvers<void>();
  #idle: Watch | undefined;
  #ended = false;

  constructor(readonly reactor: Reactor, readonly options: LifetimeOptions) {
    this.#endAfter(firstMsMax);
  }

  /** Resolves when the shim is to end. It takes no more containers then. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Containers that there are. */
  get containers(): number {
    return this.#containers.size;
  }

  /** Places that are kept. */
  get reserved(): number {
    return this.#reserved.size;
  }

  /** Keeps a place for the container for 30 s. Throws `ResourceExhausted` where there is none, `Unavailable` at the end. */
  reserve(id: string): void {
    this.#refuseAtEnd();
    if (!this.#reserved.has(id)) this.#refuseWhenFull();
    this.#reserved.get(id)?.close();
    this.#stay();
    this.#reserved.set(id, after(this.reactor, reservationMsMax, () => this.#release(id)));
  }

  #release(id: string): void {
    this.#reserved.get(id)?.close();
    if (this.#reserved.delete(id)) this.#lookWhetherIdle();
  }

  /** A container comes. Throws as {@link ShimLifetime.reserve}. */
  coming(id: string): void {
    this.#refuseAtEnd();
    if (!this.#reserved.has(id)) this.#refuseWhenFull();
    this.#containers.add(id);
    this.#stay();
    this.#release(id);
  }

  #refuseAtEnd(): void {
    if (this.#ended) throw new Failure("Unavailable", "this shim is about to end");
  }

  #refuseWhenFull(): void {
    const { placesMax } = this.options;
    if (this.#containers.size + this.#reserved.size < placesMax) return;
    throw new Failure("ResourceExhausted", `this shim holds ${placesMax} containers, which is as many as it takes`);
  }

  /** A container has gone. */
  gone(id: string): void {
    this.#containers.delete(id);
    this.#lookWhetherIdle();
  }

  /** Containerd has no further use for the shim of one of its containers. */
  shutDown(): void {
    if (!this.options.lingers && this.#isIdle()) this.end();
  }

  /** Ends it whatever it has. */
  end(): void {
    this.#ended = true;
    this.#stay();
    for (const watch of this.#reserved.values()) watch.close();
    this.#reserved.clear();
    this.#over.resolve();
  }

  #isIdle(): boolean {
    return this.#containers.size === 0 && this.#reserved.size === 0;
  }

  #lookWhetherIdle(): void {
    if (!this.#ended && this.#isIdle()) this.#endAfter(lingerMs);
  }

  #endAfter(timeMs: number): void {
    this.#stay();
    this.#idle = after(this.reactor, timeMs, () => {
      this.#idle = undefined;
      this.end();
    });
  }

  #stay(): void {
    this.#idle?.close();
    this.#idle = undefined;
  }
}
