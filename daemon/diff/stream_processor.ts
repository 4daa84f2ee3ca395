/**
 * Programs from the configuration that turn a layer of a type that we do not know, such as an encrypted one, into one
 * that we do (containerd's stream processors).
 *
 * A program gets the layer on standard input and writes the result to standard output. The type of its input is in
 * `STREAM_PROCESSOR_MEDIATYPE`; what the client sent for it, an `Any` in its wire form, comes on descriptor 3.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { Failure, messageOf } from "../../api/errors.ts";
import { knownPacking } from "./media_type.ts";
import { callersVariables } from "../../ffi/launch.ts";

/** One program of the configuration. */
export interface StreamProcessor {
  readonly id: string;
  /** Media types that it takes. */
  readonly accepts: readonly string[];
  /** The media type that it makes. */
  readonly returns: string;
  /** Looked up in `PATH` unless it has a slash. */
  readonly path: string;
  readonly args: readonly string[];
  /** Added to the daemon's own environment, as `NAME=VALUE`. */
  readonly env: readonly string[];
}

/** A program with the media type that it gets this time. */
export interface Stage {
  readonly processor: StreamProcessor;
  readonly mediaType: string;
}

/** What a layer has to go through before we know it. */
export interface Processing {
  readonly stages: readonly Stage[];
  /** The type at the end of the stages. */
  readonly mediaType: string;
}

/**
 * The way from a media type to one that we can unpack: configured programs first, as they come. Throws `Unknown`, in
 * containerd's words, where there is none.
 */
export function planProcessing(mediaType: string, processors: readonly StreamProcessor[]): Processing {
  const stages: Stage[] = [];
  const seen = new Set<string>();
  for (let type = mediaType;;) {
    const processor = seen.has(type) ? undefined : processors.find(({ accepts }) => accepts.includes(type));
    if (processor === undefined) {
      if (knownPacking(type) !== undefined) return { stages, mediaType: type };
      throw new Failure("Unknown", `failed to get stream processor for ${mediaType}: no processor for media-type`);
    }
    // One that makes what it takes, or two that undo each other, are asked once.
    seen.add(type);
    stages.push({ processor, mediaType: type });
    type = processor.returns;
  }
}

/** So many characters of what a program says are kept. */
const wordsMax = 64 * 1024;

interface Running {
  readonly processor: StreamProcessor;
  readonly child: ChildProcess;
  /** Resolves with the failure's text, or undefined where it ended well. */
  readonly ended: Promise<string | undefined>;
}

async function start(stage: Stage, payload: Uint8Array | undefined): Promise<Running> {
  const { spawn } = await import("node:child_process");
  const { processor } = stage;
  const env = callersVariables();
  for (const line of processor.env) {
    const equals = line.indexOf("=");
    if (equals > 0) env[line.slice(0, equals)] = line.slice(equals + 1);
  }
  env["STREAM_PROCESSOR_MEDIATYPE"] = stage.mediaType;
  const stdio: ("pipe")[] = payload === undefined ? ["pipe", "pipe", "pipe"] : ["pipe", "pipe", "pipe", "pipe"];
  const child = spawn(processor.path, [...processor.args], { env, stdio });
  const decoder = new TextDecoder();
  let words = "";
  child.stderr?.on("data", (bytes: Uint8Array) => {
    if (words.length < wordsMax) words += decoder.decode(bytes, { stream: true });
  });
  const ended = new Promise<string | undefined>((resolve) => {
    child.on("error", (error) => resolve(messageOf(error)));
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(undefined);
      const how = code === null ? `signal: ${signal}` : `exit status ${code}`;
      resolve([how, words.slice(0, wordsMax).trim()].filter((part) => part !== "").join(": "));
    });
  });
  // A program may end without reading everything; whether that was well is told by its status.
  child.stdin?.on("error", () => {});
  const extra = child.stdio[3];
  if (payload !== undefined && extra !== null && extra !== undefined && "end" in extra) {
    extra.on("error", () => {});
    extra.end(payload);
  }
  return { processor, child, ended };
}

/**
 * Runs the stages one behind the other on the file, and gives what the last one writes. `payloads` are by the
 * processors' ids. Throws `Unknown` with the words of the first program that fails, and the signal's reason; the
 * programs are killed where the stream is not read to its end.
 */
export async function* process(
  stages: readonly Stage[],
  file: string,
  payloads: ReadonlyMap<string, Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  signal.throwIfAborted();
  const { createReadStream } = await import("node:fs");
  const running: Running[] = [];
  const kill = () => {
    for (const { child } of running) child.kill("SIGKILL");
  };
  signal.addEventListener("abort", kill, { once: true });
  const source = createReadStream(file, { highWaterMark: 256 * 1024 });
  let broken: unknown;
  source.on("error", (error) => {
    broken ??= error;
    kill();
  });
  try {
    for (const stage of stages) running.push(await start(stage, payloads.get(stage.processor.id)));
    let input: { pipe(to: NonNullable<ChildProcess["stdin"]>): unknown } = source;
    for (const { child } of running) {
      if (child.stdin !== null) input.pipe(child.stdin);
      if (child.stdout !== null) input = child.stdout;
    }
    const last = running.at(-1)?.child.stdout;
    try {
      if (last !== null && last !== undefined) { for await (const bytes of last) yield new Uint8Array(bytes); }
    } catch (error) {
      // A program that was never there breaks its pipes; why is told by how it ended.
      broken ??= error;
    }
    await checkEnds(running, signal);
    if (broken !== undefined) throw new Failure("Unknown", `reading "${file}": ${messageOf(broken)}`);
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
    source.destroy();
    await Promise.all(running.map(({ ended }) => ended));
  }
}

async function checkEnds(running: readonly Running[], signal: AbortSignal): Promise<void> {
  for (const { processor, ended } of running) {
    const failure = await ended;
    signal.throwIfAborted();
    if (failure !== undefined) throw new Failure("Unknown", `stream processor "${processor.id}" failed: ${failure}`);
  }
}
