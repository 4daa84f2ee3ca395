/**
 * `grpc.health.v1.Health`: whether the daemon serves. As in containerd, no service has a health of its own: the empty
 * name stands for the whole daemon, and every other name is unknown.
 *
 * @module
 */
import { type HealthCheckRequest, HealthCheckResponse_ServingStatus } from "../../api/gen/grpc/health/v1/health.ts";
import type { HealthCheckResponse, HealthDefinition } from "../../api/gen/grpc/health/v1/health.ts";
import { Failure } from "../../api/errors.ts";
import type { CallContext } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = HealthCheckResponse_ServingStatus;

/** Answers probes. `drain` tells those who watch that the daemon is about to end. */
export class HealthService implements ServiceOf<typeof HealthDefinition> {
  readonly #draining = Promise.withResolvers<void>();
  #isDraining = false;

  /** From now on the daemon is not serving. */
  drain(): void {
    this.#isDraining = true;
    this.#draining.resolve();
  }

  #status(): HealthCheckResponse {
    return { status: this.#isDraining ? NOT_SERVING : SERVING };
  }

  // Async, so that what is thrown is a rejection.
  // deno-lint-ignore require-await
  async check({ service }: HealthCheckRequest): Promise<HealthCheckResponse> {
    if (service !== "") throw new Failure("NotFound", "unknown service");
    return this.#status();
  }

  /** Tells the status at once and when it changes; ends with the caller. */
  async *watch({ service }: HealthCheckRequest, { signal }: CallContext): AsyncIterable<HealthCheckResponse> {
    const gone = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    if (service !== "") {
      yield { status: SERVICE_UNKNOWN };
    } else {
      const first = this.#status();
      yield first;
      if (first.status === SERVING) {
        await Promise.race([gone, this.#draining.promise]);
        if (!signal.aborted) yield this.#status();
      }
    }
    await gone;
    signal.throwIfAborted();
  }
}
