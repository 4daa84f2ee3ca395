/**
 * The `start` action: finds or starts the shim of a container and answers where it listens.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { serverCommand } from "../../shim/server/server_command.ts";
import { startShim } from "../../shim/server/start_shim.ts";
import type { FlagValues } from "../flags.ts";
import type { shimFlags } from "./flags.ts";
import { groupingOf } from "./grouping.ts";
import { readStartInput, type StartInput } from "./start_input.ts";

/** As long as containerd waits for a connection. */
const startMsMax = 100_000;

/** The answer in the form that the daemon understands: a text for those up to 2.2, protobuf for later ones. */
export async function start(flags: FlagValues<typeof shimFlags>): Promise<string | Uint8Array> {
  if (flags.id === "") throw new Failure("InvalidArgument", "no id: give -id");
  const { environment } = readLaunch();
  const input = await readStartInput(flags, environment);
  const bundle = Deno.cwd();
  const grouping = groupingOf(environment.get("BARGE_SHIM_GROUP"));
  const reactor = new Reactor();
  const deadline = AbortSignal.timeout(startMsMax);
  const shim = await startShim(
    reactor,
    {
      namespace: input.namespace,
      id: input.id,
      bundle,
      address: input.address,
      socketDirectory: input.socketDirectory,
      grouping,
      optionsKey: input.optionsKey,
    },
    (socket) => serverCommand({ ...input, bundle, grouping }, socket),
    deadline,
  );
  if (shim.isNew) await settle(shim.pid, input);
  return input.answer(shim.address);
}

/** The shim is the first to go when memory is short, after containerd itself; and it is accounted where it is told to. */
async function settle(pid: number, { shimCgroup }: StartInput): Promise<void> {
  try {
    const score = Number(Deno.readTextFileSync(`/proc/${Deno.ppid}/oom_score_adj`));
    Deno.writeTextFileSync(`/proc/${pid}/oom_score_adj`, String(Math.min(score + 1, 1000)));
  } catch {
    // Without the right to change it the score stays the parent's, which is one less.
  }
  if (shimCgroup === "") return;
  const { moveToCgroup } = await import("../../shim/server/shim_cgroup.ts");
  moveToCgroup(pid, shimCgroup);
}
