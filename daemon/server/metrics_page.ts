/**
 * `GET /v1/metrics`: the numbers as text.
 *
 * @module
 */
import type { MetricRegistry } from "./metric_registry.ts";

/** Prometheus waits ten seconds by default. */
const refreshMsMax = 8_000;

/** Answers the metrics address's requests. */
export function metricsPage(registry: MetricRegistry): (request: Request) => Promise<Response> {
  let refreshing: Promise<void> | undefined;
  return async (request) => {
    if (new URL(request.url).pathname !== "/v1/metrics") {
      return new Response("404 page not found\n", { status: 404, headers: { "content-type": "text/plain" } });
    }
    if (request.method !== "GET" && request.method !== "HEAD") return new Response("want GET\n", { status: 405 });
    // Those who come meanwhile get the same numbers.
    refreshing ??= registry.refresh(AbortSignal.timeout(refreshMsMax)).finally(() => refreshing = undefined);
    await refreshing;
    return new Response(registry.render(), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    });
  };
}
