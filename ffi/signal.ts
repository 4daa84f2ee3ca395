/**
 * Signals that Deno cannot be asked to listen to.
 *
 * Half a second after its start, Deno 2.9 begins to listen to SIGUSR1 and opens its debugger on a TCP port of this machine
 * when it comes, as Node does; it cannot be told not to. Any local user could then run code in a daemon. A handler of our
 * own, a few instructions that add to an eventfd, takes the signal before Deno sees it.
 *
 * @module
 */
import { hostArch } from "./arch.ts";
import { flags } from "./constants.ts";
import { Descriptor, readOnce } from "./descriptor.ts";
import { signalCode } from "./gen/machine_code.ts";
import { checked, libc } from "./libc.ts";
import { Mapping } from "./program/memory.ts";
import type { Reactor } from "./reactor.ts";
import { call } from "./syscall.ts";

const symbols = libc({
  sigaction: { parameters: ["i32", /* signum */ "buffer", /* act */ "buffer" /* oldact */], result: "i32" },
});

/** struct sigaction of glibc: handler at 0, mask of 128 bytes at 8, flags at 136. The library adds the restorer. */
const actionSize = 152;
const flagsOffset = 136;
/** Calls of other threads that the handler interrupts go on. */
const SA_RESTART = 0x10000000;

/**
 * Calls `listener` when the signal, of that name and number, has come; once for those that come together. The returned
 * function gives the signal its former action. The reactor waits for as long as it is listened to.
 */
export function listenTo(reactor: Reactor, name: Deno.Signal, signal: number, listener: () => void): () => void {
  // Deno installs its handler once for each signal. It is to do so now: later it would be on top of ours.
  const ignored = () => {};
  Deno.addSignalListener(name, ignored);
  const event = new Descriptor(call("eventfd2", 0, flags("O_CLOEXEC", "O_NONBLOCK")));
  const { hex, handler, descriptor } = signalCode[hostArch];
  const code = Uint8Array.fromHex(hex);
  new DataView(code.buffer).setUint32(descriptor, event.number, true);
  const page = new Mapping(code.length);
  page.bytes.set(code);
  call("mprotect", page.address, page.size, flags("PROT_READ", "PROT_EXEC"));
  const counter = new Uint8Array(8);
  const watch = reactor.watch(event.number, flags("EPOLLIN"), () => {
    readOnce(event.number, counter);
    listener();
  });
  const action = new Uint8Array(actionSize);
  const view = new DataView(action.buffer);
  view.setBigUint64(0, page.address + BigInt(handler), true);
  view.setUint32(flagsOffset, SA_RESTART, true);
  const former = new Uint8Array(actionSize);
  checked(symbols().sigaction(signal, action, former), "sigaction");
  return () => {
    checked(symbols().sigaction(signal, former, action), "sigaction");
    Deno.removeSignalListener(name, ignored);
    watch.close();
    event.close();
    // The page stays: another thread may be in the handler.
  };
}
