/**
 * The `spare` action: a shim that barge's daemon has started ahead. It has loaded all that a shim needs, and waits on
 * descriptor 3 to be told whose shim it is; it ends with the daemon. See `shim/server/spare_message.ts`.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import { buildVersion } from "../../api/version.ts";
import { showArguments } from "../../ffi/command_line.ts";
import { flags as bits } from "../../ffi/constants.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { setVariable } from "../../ffi/launch.ts";
import { type Parcel, receiveParcel, sendParcel } from "../../ffi/parcel.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { listenTo } from "../../ffi/signal.ts";
import { StreamListener } from "../../ffi/stream_listener.ts";
import { after } from "../../ffi/timer.ts";
import { Rest } from "../../shim/server/rest.ts";
import { accountIn, raiseScore } from "../../shim/server/settle_shim.ts";
import { parseSpare, spareText, type SpareWork } from "../../shim/server/spare_message.ts";
import { inheritedSocket } from "../../shim/server/spawn_server.ts";
import type { FlagValues } from "../flags.ts";
import type { shimFlags } from "./flags.ts";
import { serveOn } from "./serve.ts";
// Asked for by barge's daemon at once: without this it would be loaded then.
import "../../shim/task/handover.ts";

/** SIGUSR1 opens Deno's debugger from half a second after the start on, and an operator may try it on any shim. */
const debuggerSignal = 10;
const debuggerAfterMs = 200;

/** Waits, and serves. Returns where the daemon has gone before. Throws where descriptor 3 is not the daemon's. */
export async function beSpare(flags: FlagValues<typeof shimFlags>): Promise<void> {
  const reactor = new Reactor();
  // Closed before this process starts another one.
  using daemon = new Descriptor(inheritedSocket);
  after(reactor, debuggerAfterMs, () => void listenTo(reactor, "SIGUSR1", debuggerSignal, () => {}));
  raiseScore(Deno.pid);
  using rest = new Rest(reactor);
  rest.disturb();
  sendParcel(daemon.number, spareText({ says: "ready", version: buildVersion() }), []);
  const told = await nextParcel(reactor, daemon);
  if (told === undefined) return;
  const { work, listener } = workOf(reactor, told);
  try {
    await become(work);
  } catch (error) {
    sendParcel(daemon.number, spareText({ says: "failed", reason: messageOf(error) }), []);
    return;
  }
  sendParcel(daemon.number, spareText({ says: "serves" }), []);
  daemon.close();
  const { socket, deposit, subject } = work;
  await serveOn(reactor, { socket, listener }, subject, flags.debugSocket, deposit);
}

/** The next one; undefined where the daemon has gone. */
function nextParcel(reactor: Reactor, { number }: Descriptor): Promise<Parcel | undefined> {
  return new Promise((resolve, reject) => {
    const watch = reactor.watch(number, bits("EPOLLIN"), () => {
      try {
        const parcel = receiveParcel(number);
        if (parcel === undefined) return;
        watch.close();
        resolve(parcel === "end" ? undefined : parcel);
      } catch (error) {
        watch.close();
        reject(error);
      }
    });
  });
}

function workOf(reactor: Reactor, { text, descriptors }: Parcel): { work: SpareWork; listener: StreamListener } {
  const message = parseSpare(text);
  const [socket, ...others] = descriptors;
  if (message.says !== "serve" || socket === undefined || others.length > 0) {
    throw new Error(`the daemon said ${message.says} with ${descriptors.length} descriptors: want serve with one`);
  }
  return { work: message.work, listener: new StreamListener(reactor, socket) };
}

/** From here on it looks as if it had been started for that container. */
async function become({ subject, shimCgroup }: SpareWork): Promise<void> {
  const { namespace, id, address, publishBinary, debug } = subject;
  setVariable("NAMESPACE", namespace);
  const words = ["-namespace", namespace, "-address", address, "-publish-binary", publishBinary, "-id", id];
  const first = Deno.args[0] === "shim" ? ["shim"] : [];
  showArguments([...first, ...words, ...(debug ? ["-debug"] : [])]);
  await accountIn(Deno.pid, shimCgroup);
}
