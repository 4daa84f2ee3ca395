/**
 * What tests of standard streams share: FIFOs, clients that read them, processes that write them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { makeFifo } from "../ffi/fifo.ts";
import { Reactor } from "../ffi/reactor.ts";
import { openStandardStreams, type StandardStreams } from "../shim/io/standard_streams.ts";
import type { StandardStreamsOptions } from "../shim/io/stream_ends.ts";
import { startStreamed, type StreamedProcess } from "./streamed_process.ts";
import { patientEnd } from "./patience.ts";

/** Streams that go nowhere: fields to add to. */
export const nothing: StandardStreamsOptions = {
  stdin: "",
  stdout: "",
  stderr: "",
  terminal: false,
  containerId: "c1",
  namespace: "testing",
  uid: 0,
  gid: 0,
};

/** A reactor and a directory with the FIFOs in, out and err; afterwards no descriptor may be left. */
export async function withFifos(
  body: (reactor: Reactor, path: (name: string) => string) => Promise<void>,
): Promise<void> {
  const directory = Deno.makeTempDirSync();
  const before = openDescriptors();
  const reactor = new Reactor();
  try {
    for (const name of ["in", "out", "err"]) makeFifo(`${directory}/${name}`, 0o700);
    await body(reactor, (name) => `${directory}/${name}`);
  } finally {
    reactor[Symbol.dispose]();
    await new Promise((resolve) => setTimeout(resolve, 20)); // The reactor's thread comes back and closes its own two.
    Deno.removeSync(directory, { recursive: true });
  }
  assert.deepEqual(openDescriptors(), before, "descriptors are left over");
}

function openDescriptors(): string[] {
  const open: string[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      open.push(`${name} ${Deno.readLinkSync(`/proc/self/fd/${name}`)}`);
    } catch {
      // The one that the listing itself had.
    }
  }
  // Made once per process: the executable stub of children, and the event loop's own.
  return open.filter((line) => !/memfd:|anon_inode:|\/dev\/urandom/.test(line)).sort();
}

/** Reads a FIFO by another process, like a client; or does something else with it, which the shell knows as $0. */
export class Client {
  /** Those that open their FIFO at once and may not have done it yet. */
  static readonly #opening = new Set<Client>();
  readonly #process: Deno.ChildProcess;
  readonly #path: string;
  readonly output: Promise<Uint8Array>;

  constructor(path: string, command: string = `exec cat "$0"`) {
    this.#process = new Deno.Command("/bin/sh", {
      args: ["-c", command, path],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.output = new Response(this.#process.stdout).bytes();
    this.#path = path;
    if (command.startsWith("exec ")) Client.#opening.add(this);
  }

  /**
   * Waits until all that were made have their FIFOs open, which needs a writer there: one that comes when the streams are
   * closed would wait for ever.
   */
  static async allOpened(): Promise<void> {
    const clients = [...Client.#opening];
    Client.#opening.clear();
    for (const end = patientEnd(20_000); clients.some((client) => !client.#hasOpened());) {
      if (performance.now() > end) throw new Error("a client does not open its FIFO");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #hasOpened(): boolean {
    const directory = `/proc/${this.#process.pid}/fd`;
    try {
      const links = [...Deno.readDirSync(directory)].map(({ name }) => Deno.readLinkSync(`${directory}/${name}`));
      return links.includes(this.#path);
    } catch (error) {
      // It has ended, or closed a descriptor meanwhile.
      if (error instanceof Deno.errors.NotFound) return !isThere(directory);
      throw error;
    }
  }

  /** What it has printed when it ends. */
  async text(): Promise<string> {
    const bytes = await this.output;
    await this.#process.status;
    return new TextDecoder().decode(bytes);
  }

  /** How many bytes it has printed when it ends. */
  async length(): Promise<number> {
    const bytes = await this.output;
    await this.#process.status;
    return bytes.length;
  }
}

/** Starts a script with the streams and begins them. */
export async function run(reactor: Reactor, streams: StandardStreams, script: string): Promise<StreamedProcess> {
  await Client.allOpened();
  const process = startStreamed(reactor, script, streams.child);
  await streams.begin();
  streams.takeInput();
  return process;
}

/** Runs a script to its end and closes its streams. */
export async function runWhole(
  reactor: Reactor,
  options: Partial<StandardStreamsOptions>,
  script: string,
): Promise<boolean> {
  const streams = await openStandardStreams(reactor, { ...nothing, ...options });
  const process = await run(reactor, streams, script);
  await process.end();
  const complete = await streams.drained(10_000);
  await streams.close();
  return complete;
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The text of a file. */
export function contents(path: string): string {
  return Deno.readTextFileSync(path);
}

/** Writes a logging program. */
export function writeLogger(path: string, body: string): void {
  Deno.writeTextFileSync(path, `#!/bin/sh\n${body}\n`);
  Deno.chmodSync(path, 0o755);
}
