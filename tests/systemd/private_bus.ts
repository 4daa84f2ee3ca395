/**
 * A message bus of a test's own, and a service on it that answers as systemd's manager does.
 *
 * @module
 */
import assert from "node:assert/strict";
import { authenticate, writeAll } from "../../shim/dbus/authenticate.ts";
import { Incoming } from "../../shim/dbus/connection.ts";
import { encodeMessage, type Message, messageTypes } from "../../shim/dbus/message.ts";
import type { Value } from "../../shim/dbus/value.ts";
import { Running } from "../command.ts";
import { findPeer } from "../peers.ts";

const configuration = (socket: string): string =>
  `<busconfig><type>session</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`;

/** Starts Debian's `dbus-daemon` in the directory; gives the path of its socket, and the program. */
export async function startBus(directory: string): Promise<{ path: string; daemon: Running }> {
  const path = `${directory}/bus`;
  await Deno.writeTextFile(`${directory}/bus.conf`, configuration(path));
  const arguments_ = ["--nofork", "--nopidfile", `--config-file=${directory}/bus.conf`, "--print-address"];
  const daemon = new Running([findPeer("dbus-daemon")!, ...arguments_], { timeoutMs: 120_000 });
  await daemon.says("unix:path=");
  return { path, daemon };
}

/** What is answered to a call: values of a signature, an error's name and text, or nothing at all. */
export type Answer = { signature: string; body: Value[] } | { error: string; text: string } | "silence";

/** The end of a job, told before or after the answer that names it. */
export interface JobEnd {
  job: string;
  result: string;
}

const manager = { path: "/org/freedesktop/systemd1", interface: "org.freedesktop.systemd1.Manager" };

/** A service under systemd's name. Disposing it closes its connection. */
export class FakeManager implements Disposable {
  /** Members that were called, with what was given. */
  readonly calls: { member: string; body: readonly Value[] }[] = [];
  /** Gives the answer to a call. */
  answer: (member: string, body: readonly Value[]) => Answer = () => ({ signature: "", body: [] });
  #serial = 0;
  #writing: Promise<void> = Promise.resolve();
  readonly #ready = Promise.withResolvers<void>();

  private constructor(readonly socket: Deno.Conn) {}

  /** Joins a bus. */
  static async join(path: string): Promise<FakeManager> {
    const socket = await Deno.connect({ transport: "unix", path });
    const rest = await authenticate(socket, Deno.uid() ?? 0);
    const service = new FakeManager(socket);
    service.#read(rest);
    const bus = {
      path: "/org/freedesktop/DBus",
      interface: "org.freedesktop.DBus",
      destination: "org.freedesktop.DBus",
    };
    service.#send({ type: messageTypes.call, member: "Hello", body: [], ...bus });
    const body = ["org.freedesktop.systemd1", 0];
    service.#send({ type: messageTypes.call, member: "RequestName", signature: "su", body, ...bus });
    await service.#ready.promise;
    return service;
  }

  async #read(first: Uint8Array): Promise<void> {
    const incoming = new Incoming((message) => this.#take(message));
    incoming.add(first);
    const chunk = new Uint8Array(4096);
    for (;;) {
      const length = await this.socket.read(chunk).catch(() => null);
      if (length === null) return;
      incoming.add(chunk.subarray(0, length));
    }
  }

  #take(message: Message): void {
    // The second call is the one for the name.
    if (message.type === messageTypes.reply && message.replySerial === 2) this.#ready.resolve();
    if (message.type !== messageTypes.call) return;
    const { member = "", body, serial, sender } = message;
    this.calls.push({ member, body });
    const answer = this.answer(member, body);
    if (answer === "silence") return;
    const back = { replySerial: serial, ...(sender === undefined ? {} : { destination: sender }) };
    if ("error" in answer) {
      this.#send({ type: messageTypes.error, errorName: answer.error, signature: "s", body: [answer.text], ...back });
    } else this.#send({ type: messageTypes.reply, ...answer, ...back });
  }

  /** Tells everybody that a job has ended. */
  endJob({ job, result }: JobEnd): void {
    this.#send({
      type: messageTypes.signal,
      member: "JobRemoved",
      signature: "uoss",
      body: [1, job, "x", result],
      ...manager,
    });
  }

  #send(message: Omit<Message, "serial">): void {
    const bytes = encodeMessage({ ...message, serial: ++this.#serial });
    this.#writing = this.#writing.then(() => writeAll(this.socket, bytes));
    this.#writing.catch(() => {});
  }

  /** Names of the members that were called. */
  get members(): string[] {
    return this.calls.map(({ member }) => member);
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }
}

/** Asserts that one call to the member was made, and gives what was given to it. */
export function onlyCall(service: FakeManager, member: string): readonly Value[] {
  const found = service.calls.filter((call) => call.member === member);
  assert.equal(found.length, 1, service.members.join());
  return found[0]!.body;
}
