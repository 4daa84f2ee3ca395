/**
 * The `start` action: finds or starts the shim of a container and answers where it listens.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags as bits } from "../../ffi/constants.ts";
import { writeOnce } from "../../ffi/descriptor.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { call } from "../../ffi/syscall.ts";
import { after } from "../../ffi/timer.ts";
import type { NewShim } from "../../shim/server/find_shim.ts";
import { serverCommand } from "../../shim/server/server_command.ts";
import { accountIn, raiseScore } from "../../shim/server/settle_shim.ts";
import { inProcessOf, startShim } from "../../shim/server/start_shim.ts";
import type { FlagValues } from "../flags.ts";
import type { shimFlags } from "./flags.ts";
import { groupingOf, placesOf } from "../../shim/server/grouping.ts";
import { readStartInput } from "./start_input.ts";

/** As long as containerd waits for a connection. */
const startMsMax = 100_000;

/**
 * Answers through `write`, in the form that the daemon understands. Where the launcher has made a process for it, this one
 * serves then: a second start of Deno would take longer than all else. Otherwise it starts another.
 */
export async function start(
  flags: FlagValues<typeof shimFlags>,
  write: (answer: string | Uint8Array) => void,
): Promise<void> {
  if (flags.id === "") throw new Failure("InvalidArgument", "no id: give -id");
  const { environment, startPipe } = readLaunch();
  const input = await readStartInput(flags, environment);
  const bundle = Deno.cwd();
  const grouping = groupingOf(environment.get("BARGE_SHIM_GROUP"));
  const places = placesOf(environment.get("BARGE_SHIM_PLACES"));
  const { namespace, id, address, socketDirectory, optionsKey } = input;
  let mine: NewShim | undefined;
  const serveHere = (place: NewShim): number => {
    mine = place;
    return Deno.pid;
  };
  const reactor = new Reactor();
  const late = new AbortController();
  const timer = after(
    reactor,
    startMsMax,
    () => late.abort(new Failure("DeadlineExceeded", "no shim could be started")),
  );
  const shim = await startShim(
    reactor,
    { namespace, id, bundle, address, socketDirectory, grouping, optionsKey },
    startPipe === undefined
      ? inProcessOf((socket) => serverCommand({ ...input, bundle, grouping, places }, socket))
      : serveHere,
    late.signal,
  );
  timer.close();
  if (shim.isNew) {
    raiseScore(shim.pid);
    await accountIn(shim.pid, input.shimCgroup);
  }
  write(input.answer(shim.address));
  if (startPipe === undefined) return;
  // The caller reads until nobody has its pipes any more; the end of this process would take longer.
  leaveCaller();
  writeOnce(startPipe, new Uint8Array([1]));
  call("close", startPipe);
  if (mine === undefined) return;
  const { serveOn } = await import("./serve.ts");
  await serveOn(reactor, mine, { ...input, bundle, grouping, places }, flags.debugSocket);
}

/** Gives the caller's pipes up, which it reads to their end, with all copies of them; and its directory. */
function leaveCaller(): void {
  const link = (number: string): string | undefined => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${number}`);
    } catch {
      // The descriptor by which the directory was read.
      return undefined;
    }
  };
  // What is null already need not be exchanged.
  const theirs = new Set(["0", "1", "2"].map(link).filter((target) => target !== undefined && target !== "/dev/null"));
  const none = call("openat", bits("AT_FDCWD"), "/dev/null", bits("O_RDWR", "O_CLOEXEC"), 0);
  for (const { name } of [...Deno.readDirSync("/proc/self/fd")]) {
    const target = link(name);
    if (target !== undefined && theirs.has(target)) {
      call("dup3", none, Number(name), Number(name) < 3 ? 0 : bits("O_CLOEXEC"));
    }
  }
  call("close", none);
  Deno.chdir("/");
}
