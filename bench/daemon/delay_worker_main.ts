/**
 * The thread that measures answers; `delay.ts` is the other side.
 *
 * @module
 */
import { connect, dialUnix } from "../../api/grpc/client.ts";
import { VersionDefinition } from "../../api/gen/services/version/v1/version.ts";

/** The two members of a worker's global scope that are used here; Deno's types describe only the main scope. */
interface WorkerScope {
  onmessage: (event: MessageEvent<string>) => void;
  postMessage(answer: "ready" | number): void;
}

const scope = globalThis as unknown as WorkerScope;
const pauseMs = 2;
let stopped = false;

async function measure(address: string): Promise<void> {
  using channel = connect({ open: dialUnix(address) });
  const version = channel.client(VersionDefinition);
  for (let n = 0; n < 500; n++) await version.version({});
  scope.postMessage("ready");
  let worst = 0;
  while (!stopped) {
    const begin = performance.now();
    await version.version({});
    worst = Math.max(worst, performance.now() - begin);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  scope.postMessage(worst);
}

scope.onmessage = ({ data }) => {
  if (data === "stop") stopped = true;
  else void measure(data);
};
