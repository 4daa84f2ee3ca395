/**
 * Programs that tests run: barge itself, as it is installed, and its peers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { launcher } from "./installed.ts";
import { missingPrograms } from "./registry.ts";
import { patient } from "./patience.ts";

/** Root of the source tree. */
export const sourceRoot = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** Words that start barge; its own command line follows. The process is barge's own, without a shell around it. */
export const barge: readonly string[] = [launcher];

/** How a program ended, and what it wrote. */
export interface Finished {
  /** 128+N where signal N ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@link execute} and {@link Running}. */
export interface ExecuteOptions {
  /** Text for standard input, which ends after it. Default: /dev/null. */
  readonly stdin?: string;
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Record<string, string>;
  /** After this time of an idle machine the program is killed and the test fails: no command hangs for ever. Default 60 s. */
  readonly timeoutMs?: number;
}

/** A program under way. */
export class Running implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  /** Resolves with the end. Throws where the time is over. */
  readonly finished: Promise<Finished>;
  /** What has come on standard output until now. */
  stdout = "";
  #changed = Promise.withResolvers<void>();
  #ended = false;

  constructor(command: readonly string[], options: ExecuteOptions & { keepInput?: boolean } = {}) {
    const [program, ...args] = command;
    assert(program !== undefined);
    const hasInput = options.stdin !== undefined || options.keepInput === true;
    this.child = new Deno.Command(program, {
      args,
      stdin: hasInput ? "piped" : "null",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1", ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    }).spawn();
    if (options.stdin !== undefined) this.#write(options.stdin);
    this.finished = this.#finish(command, options.timeoutMs ?? 60_000);
    // Whoever does not wait for the end is not to be ended by it.
    this.finished.catch(() => {});
  }

  async #write(text: string): Promise<void> {
    try {
      const writer = this.child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(text));
      await writer.close();
    } catch {
      // The program has ended without reading all of it.
    }
  }

  async #finish(command: readonly string[], timeoutMs: number): Promise<Finished> {
    let timedOut = false;
    const begin = performance.now();
    // The machine may become busy later.
    const timer = setInterval(() => {
      if (performance.now() - begin < patient(timeoutMs)) return;
      timedOut = true;
      this.kill("SIGKILL");
    }, Math.min(timeoutMs, 1000));
    const [stderr] = await Promise.all([new Response(this.child.stderr).text(), this.#readOutput()]);
    const { code } = await this.child.status;
    clearInterval(timer);
    this.#ended = true;
    this.#changed.resolve();
    assert(!timedOut, `${command.join(" ")} did not end within ${timeoutMs} ms; ${this.stdout}${stderr}`);
    return { code, stdout: this.stdout, stderr };
  }

  async #readOutput(): Promise<void> {
    for await (const text of this.child.stdout.pipeThrough(new TextDecoderStream())) {
      this.stdout += text;
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }

  /** Waits until the text has come on standard output. Throws where the program ends without it. */
  async says(text: string): Promise<void> {
    while (!this.stdout.includes(text)) {
      if (this.#ended) {
        const { code, stderr } = await this.finished;
        throw new Error(`ended with ${code} before it said ${JSON.stringify(text)}: ${this.stdout}${stderr}`);
      }
      await this.#changed.promise;
    }
  }

  /** Sends a signal; nothing where the program has ended. */
  kill(signal: Deno.Signal): void {
    try {
      this.child.kill(signal);
    } catch {
      // It has ended: that is what signals are for here.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.finished.catch(() => {});
  }
}

/** Runs a program to its end. */
export async function execute(command: readonly string[], options: ExecuteOptions = {}): Promise<Finished> {
  return await new Running(command, options).finished;
}

/** Runs a program that must succeed; gives what it wrote on standard output. */
export async function succeed(command: readonly string[], options: ExecuteOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await execute(command, options);
  assert.equal(code, 0, `${command.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

/** A test that needs root and some programs; where they are missing its name says so, and it is skipped. */
export function systemTest(name: string, programs: readonly string[], body: () => Promise<void>): void {
  const reasons = missingPrograms(...programs).map((program) => `no ${program}`);
  if (Deno.uid() !== 0) reasons.unshift("not root");
  Deno.test({
    name: reasons.length === 0 ? name : `${name} (skipped: ${reasons.join(", ")})`,
    ignore: reasons.length > 0,
    // Readers of a killed program's pipes may end a little later than the test.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: body,
  });
}
