/**
 * A stock containerd with a root, a state directory and a socket of its own.
 *
 * @module
 */
import { outputOf } from "./measure.ts";

/** Programs that it needs. */
export const containerdPrograms = ["containerd", "containerd-shim-runc-v2", "ctr", "runc"];

/** A containerd under way; disposing it ends it. */
export class Containerd implements AsyncDisposable {
  constructor(readonly process: Deno.ChildProcess, readonly address: string) {}

  /** The words of a `ctr` command line. */
  ctr(...args: string[]): string[] {
    return ["ctr", "--address", this.address, ...args];
  }

  /** Removes an image, and everything that was only there for it. */
  async forget(image: string): Promise<void> {
    await outputOf(this.ctr("images", "rm", "--sync", image));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGTERM");
    await this.process.status;
  }
}

/** Starts one whose files are below `root`, its socket in `state`. Waits until it answers. */
export async function startContainerd(root: string, state: string): Promise<Containerd> {
  const address = `${state}/containerd.sock`;
  const config = `version = 2
root = ${JSON.stringify(`${root}/root`)}
state = ${JSON.stringify(`${state}/state`)}
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = ${JSON.stringify(address)}
[ttrpc]
address = ${JSON.stringify(`${address}.ttrpc`)}
[plugins."io.containerd.gc.v1.scheduler"]
# Its first collection, 100 ms after the start, would take what a client has written meanwhile without a lease.
startup_delay = "1h"
`;
  await Deno.writeTextFile(`${state}/config.toml`, config);
  const process = new Deno.Command("sh", {
    args: ["-c", 'exec containerd --config "$1/config.toml" >"$1/log" 2>&1', "sh", state],
    stdin: "null",
  }).spawn();
  const containerd = new Containerd(process, address);
  for (let waitedMs = 0;; waitedMs += 50) {
    try {
      await outputOf(containerd.ctr("version"));
      return containerd;
    } catch (error) {
      if (waitedMs > 20_000) {
        await containerd[Symbol.asyncDispose]();
        throw new Error(`containerd does not answer: ${await Deno.readTextFile(`${state}/log`)}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
