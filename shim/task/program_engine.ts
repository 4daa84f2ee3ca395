/**
 * Containers of another runtime, driven by its command line as containerd's shim drives runc.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Process } from "../../api/oci/runtime_spec.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor, setNonBlocking } from "../../ffi/descriptor.ts";
import { openPidfd } from "../../ffi/process.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { removeTreeSync } from "../../ffi/remove_tree.ts";
import { receiveDescriptor } from "../../ffi/socket.ts";
import { attempt } from "../../ffi/syscall.ts";
import { listenStream } from "../../ffi/stream_listener.ts";
import { readable } from "../io/readable.ts";
import type { ChildStreams } from "../io/stream_ends.ts";
import { stringifyJson } from "../oci/spec/json.ts";
import type { Children } from "./children.ts";
import type { AdoptedStatus, Engine, LiveProcess, RestoreSource } from "./engine.ts";
import { lastLogError } from "./runtime_log.ts";
import { type ProgramEnd, runProgram } from "./run_program.ts";
import type { RuntimeOptions } from "./runtime_options.ts";

/** Whose container it is, and which runtime's. */
export interface ProgramContainer {
  readonly id: string;
  readonly bundle: string;
  readonly options: RuntimeOptions;
  readonly namespace: string;
  /** Of this program's own runtime: the words that it is called by, and the directory of its states. */
  readonly own?: { readonly words: readonly string[]; readonly stateRoot: string };
}

/** A runtime may wait for hooks and slow disks, but not for ever. */
const commandMsMax = 110_000;
const deleteMsMax = 10_000;
/** Memory of many gigabytes may have to be written, or read. */
const criuMsMax = 600_000;
const criuCommands: ReadonlySet<string> = new Set(["checkpoint", "restore"]);
const consoleMs = 10_000;

/** See {@link Engine}. */
export class ProgramEngine implements Engine {
  constructor(readonly reactor: Reactor, readonly children: Children, readonly container: ProgramContainer) {}

  create(streams: ChildStreams): Promise<LiveProcess> {
    const { bundle, id, options } = this.container;
    const switches = [
      ...(options.noPivotRoot ? ["--no-pivot"] : []),
      ...(options.noNewKeyring ? ["--no-new-keyring"] : []),
    ];
    const pidFile = `${bundle}/init.pid`;
    return this.#makeProcess(streams, pidFile, "create", (console) => [
      ...["create", "--bundle", bundle, "--pid-file", pidFile, ...console, ...switches, id],
    ]);
  }

  exec(execId: string, process: Process, streams: ChildStreams): Promise<LiveProcess> {
    const { bundle, id } = this.container;
    const pidFile = `${bundle}/${execId}.pid`;
    const file = Deno.makeTempFileSync({ prefix: "barge-process-" });
    Deno.writeTextFileSync(file, stringifyJson(process));
    return this.#makeProcess(streams, pidFile, "exec", (console) => [
      ...["exec", "--process", file, ...console, "--detach", "--pid-file", pidFile, id],
    ]).finally(() => Deno.removeSync(file));
  }

  restore({ imagePath, workPath }: RestoreSource, streams: ChildStreams): Promise<LiveProcess> {
    const { bundle, id, options } = this.container;
    const pidFile = `${bundle}/init.pid`;
    const paths = ["--image-path", imagePath, "--work-path", workPath, "--bundle", bundle, "--pid-file", pidFile];
    const switches = ["--detach", "--no-subreaper", ...(options.noPivotRoot ? ["--no-pivot"] : [])];
    return this.#makeProcess(streams, pidFile, "restore", (console) => [
      ...["restore", ...paths, ...console, ...switches, id],
    ]);
  }

  #makeProcess(
    streams: ChildStreams,
    pidFile: string,
    action: "create" | "exec" | "restore",
    words: (console: string[]) => string[],
  ): Promise<LiveProcess> {
    return this.children.making(async () => {
      using console = streams.console === undefined ? undefined : openConsole(this.reactor);
      const socket = console === undefined ? [] : ["--console-socket", console.path];
      const end = await this.#run(words(socket), console === undefined ? { streams } : {});
      if (end.code !== 0) throw this.#failure(action, end);
      const pid = Number(Deno.readTextFileSync(pidFile));
      if (!Number.isSafeInteger(pid) || pid <= 1) throw new Failure("Unknown", `"${pidFile}" holds no process id`);
      const master = await console?.receive();
      const pidfd = new Descriptor(openPidfd(pid));
      const ended = this.children.wait(pid, pidfd.number).finally(() => pidfd.close());
      const live = { pid, pidfd: pidfd.number, ended, failure: () => undefined };
      return { ...live, ...(master === undefined ? {} : { master }) };
    });
  }

  #run(words: readonly string[], options: { streams?: ChildStreams; input?: Uint8Array } = {}): Promise<ProgramEnd> {
    const all = [...globalWords(this.container), ...words];
    const signal = AbortSignal.timeout(criuCommands.has(words[0]!) ? criuMsMax : commandMsMax);
    return this.children.making(() => runProgram({ words: all, directory: this.container.bundle, signal, ...options }));
  }

  #failure(action: string, { code, output }: ProgramEnd): Failure {
    const why = lastLogError(`${this.container.bundle}/log.json`) ?? (output.trim() || `exit status ${code}`);
    return new Failure("Unknown", `OCI runtime ${action} failed: ${why}`);
  }

  async adopt(): Promise<AdoptedStatus> {
    const { code, output } = await this.#run(["state", this.container.id]);
    if (code !== 0) throw new Failure("NotFound", `the runtime does not know the container: ${output.trim()}`);
    // runc and its kin answer with the state of the runtime specification.
    const { status } = JSON.parse(output) as { status?: unknown };
    return { started: status !== "created", paused: status === "paused" };
  }

  async start(): Promise<void> {
    const end = await this.#run(["start", this.container.id]);
    if (end.code !== 0) throw this.#failure("start", end);
  }

  async kill(signal: number, all: boolean): Promise<void> {
    const { code, output } = await this.#run(["kill", ...(all ? ["--all"] : []), this.container.id, String(signal)]);
    if (code === 0) return;
    if (/os: process already finished|container not running|no such process|does not exist/i.test(output)) {
      throw new Failure("NotFound", "process already finished");
    }
    throw new Failure("Unknown", `unknown error after kill: exit status ${code}: ${output}`);
  }

  async pause(): Promise<void> {
    await this.#succeed(["pause", this.container.id]);
  }

  async resume(): Promise<void> {
    await this.#succeed(["resume", this.container.id]);
  }

  async update(resources: string): Promise<void> {
    await this.#succeed(["update", "--resources", "-", this.container.id], new TextEncoder().encode(resources));
  }

  async checkpoint(words: readonly string[]): Promise<void> {
    const end = await this.#run(["checkpoint", ...words, this.container.id]);
    if (end.code !== 0) throw this.#failure("checkpoint", end);
  }

  async pids(): Promise<number[]> {
    const output = await this.#succeed(["ps", "--format", "json", this.container.id]);
    const pids: unknown = JSON.parse(output);
    if (pids === null) return [];
    if (Array.isArray(pids) && pids.every((pid) => typeof pid === "number")) return pids;
    throw new Failure("Unknown", `the runtime's ps answered ${output}`);
  }

  /** What a runtime says of a failure of these is told as it is. */
  async #succeed(words: readonly string[], input?: Uint8Array): Promise<string> {
    const { code, output } = await this.#run(words, input === undefined ? {} : { input });
    if (code !== 0) throw new Failure("Unknown", `exit status ${code}: ${output}`);
    return output;
  }

  async delete(): Promise<void> {
    const end = await this.#run(["delete", this.container.id]);
    if (end.code !== 0 && !end.output.includes("does not exist")) throw this.#failure("delete", end);
  }
}

function globalWords({ options, namespace, bundle, own }: ProgramContainer): string[] {
  const root = own?.stateRoot ?? `${options.root === "" ? "/run/containerd/runc" : options.root}/${namespace}`;
  const log = ["--log", `${bundle}/log.json`, "--log-format", "json"];
  return [
    ...own?.words ?? [options.binaryName],
    "--root",
    root,
    ...log,
    ...(options.systemdCgroup ? ["--systemd-cgroup"] : []),
  ];
}

/** `delete --force`, for a container whose shim has gone. */
export async function deleteByProgram(container: ProgramContainer): Promise<void> {
  const words = [...globalWords(container), "delete", "--force", container.id];
  const { code, output } = await runProgram({ words, signal: AbortSignal.timeout(deleteMsMax) });
  if (code !== 0) throw new Failure("Unknown", `failed to delete the container: exit status ${code}: ${output}`);
}

/** A socket over which the runtime sends the terminal. */
function openConsole(reactor: Reactor) {
  const directory = Deno.makeTempDirSync({ prefix: "pty" });
  const path = `${directory}/pty.sock`;
  const listener = listenStream(reactor, path, { mode: 0o600 });
  return {
    path,
    receive: async (): Promise<Descriptor> => {
      if (!await readable(reactor, listener.number, consoleMs)) {
        throw new Failure("DeadlineExceeded", "the runtime did not send the container's terminal");
      }
      using socket = new Descriptor(attempt("accept4", listener.number, 0, 0, flags("SOCK_CLOEXEC")));
      const master = receiveDescriptor(socket.number);
      if (master === undefined) throw new Failure("Aborted", "the runtime did not send the container's terminal");
      setNonBlocking(master.number);
      return master;
    },
    [Symbol.dispose]: (): void => {
      listener.close();
      removeTreeSync(directory);
    },
  };
}
