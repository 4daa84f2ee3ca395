/**
 * The thread that asks a daemon small things again and again; `answer_times.ts` is the other side. A thread of its own, so
 * that what the test does beside does not make answers look late.
 *
 * @module
 */
import { digestOf } from "../content/content_client.ts";
import { DaemonClient, imageOf } from "./daemon_client.ts";
import type { AnswerTimes } from "./answer_times.ts";

/** The two members of a worker's global scope that are used here; Deno's types describe only the main scope. */
interface WorkerScope {
  onmessage: (event: MessageEvent<string>) => void;
  postMessage(answer: "ready" | AnswerTimes): void;
}

// A worker's global scope is one, whatever the main scope's types say.
const scope = globalThis as unknown as WorkerScope;
const pauseMs = 2;
const warmUps = 200;
let stopped = false;

async function timeOf(call: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await call();
  return performance.now() - began;
}

async function measure(address: string): Promise<void> {
  using client = new DaemonClient(address, "answers");
  const name = crypto.randomUUID();
  await client.images.create({ image: imageOf(name, digestOf(new Uint8Array())), sourceDateEpoch: undefined });
  const calls = {
    nothing: () => client.version.version({}),
    read: () => client.images.get({ name }),
    write: () => client.leases.create({ id: crypto.randomUUID(), labels: {} }),
  };
  for (let n = 0; n < warmUps; n++) for (const call of Object.values(calls)) await call();
  scope.postMessage("ready");
  const worst = { nothing: 0, read: 0, write: 0 };
  let count = 0;
  while (!stopped) {
    worst.nothing = Math.max(worst.nothing, await timeOf(calls.nothing));
    worst.read = Math.max(worst.read, await timeOf(calls.read));
    worst.write = Math.max(worst.write, await timeOf(calls.write));
    count += 3;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  scope.postMessage({ ...worst, count });
}

scope.onmessage = ({ data }) => {
  if (data === "stop") stopped = true;
  else void measure(data);
};
