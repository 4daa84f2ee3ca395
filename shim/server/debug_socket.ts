/**
 * The debug socket: who connects is told in JSON what the shim does, and the connection ends.
 *
 * @module
 */
import { version } from "../../api/version.ts";
import type { TtrpcServer } from "../../api/ttrpc/server.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { listenStream, type StreamListener } from "../../ffi/stream_listener.ts";
import type { StreamSocket } from "../../ffi/stream_socket.ts";
import type { Containers } from "../task/containers.ts";
import type { ShimLifetime } from "./shim_life.ts";

/** What is told of. */
export interface DebugSubject {
  readonly containers: Containers;
  readonly life: ShimLifetime;
  readonly server: TtrpcServer;
}

/** Serves on the path until the listener is closed; only the shim's own user can connect. Throws {@link SyscallError}. */
export function serveDebug(reactor: Reactor, path: string, subject: DebugSubject): StreamListener {
  const listener = listenStream(reactor, path, { mode: 0o600 });
  void answerAll(listener, subject);
  return listener;
}

async function answerAll(listener: StreamListener, subject: DebugSubject): Promise<void> {
  for await (const socket of listener) {
    // Whoever goes before the answer did not want it.
    await answer(socket, describe(subject)).catch(() => {});
  }
}

async function answer(socket: StreamSocket, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
  } finally {
    socket.close();
  }
}

/** Containers with their processes, calls with their age in milliseconds, and memory in bytes. */
function describe({ containers, life, server }: DebugSubject): string {
  const now = performance.now();
  const told = {
    version,
    pid: Deno.pid,
    reserved: life.reserved,
    containers: containers.all().map((container) => ({
      id: container.options.id,
      bundle: container.options.bundle,
      pid: container.init.pid,
      status: container.paused ? "paused" : container.init.status,
      execs: Object.fromEntries([...container.execsByPid()].map(([pid, id]) => [id, pid])),
    })),
    calls: server.calls().map(({ path, began }) => ({ path, ageMs: Math.round(now - began) })),
    memory: Deno.memoryUsage(),
  };
  return `${JSON.stringify(told, undefined, 2)}\n`;
}
