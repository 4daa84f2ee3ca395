import assert from "node:assert/strict";
import { HealthCheckResponse_ServingStatus as Status, HealthDefinition } from "../../api/gen/grpc/health/v1/health.ts";
import { isFailure } from "../../api/errors.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import { HealthService } from "./health.ts";

Deno.test("HealthService.check() knows the daemon as a whole, and no service by name", async () => {
  const health = new HealthService();
  const client = inProcess(HealthDefinition, health);
  assert.deepEqual(await client.check({ service: "" }), { status: Status.SERVING });
  await assert.rejects(
    client.check({ service: "containerd.services.images.v1.Images" }),
    (error) => isFailure(error, "NotFound") && error.message === "unknown service",
  );
  health.drain();
  assert.deepEqual(await client.check({ service: "" }), { status: Status.NOT_SERVING });
});

Deno.test("HealthService.watch() tells the change when the daemon drains, and ends with its caller", async () => {
  const health = new HealthService();
  const client = inProcess(HealthDefinition, health);
  const abort = new AbortController();
  const seen: number[] = [];
  const watching = (async () => {
    for await (const { status } of client.watch({ service: "" }, { signal: abort.signal })) {
      seen.push(status);
      if (seen.length === 1) health.drain();
      else abort.abort(new Error("seen enough"));
    }
  })();
  await assert.rejects(watching, /seen enough/);
  assert.deepEqual(seen, [Status.SERVING, Status.NOT_SERVING]);
});

Deno.test("HealthService.watch() keeps a stream for an unknown service, as grpc-go does", async () => {
  const client = inProcess(HealthDefinition, new HealthService());
  const signal = AbortSignal.timeout(20);
  const stream = client.watch({ service: "x" }, { signal })[Symbol.asyncIterator]();
  assert.deepEqual((await stream.next()).value, { status: Status.SERVICE_UNKNOWN });
  await assert.rejects(stream.next(), (error) => error === signal.reason);
});
