/**
 * What goes on in the daemon, as text for whoever wonders (SIGUSR1).
 *
 * @module
 */
import { callLines } from "./call_lines.ts";
import type { RunningServer } from "./running_server.ts";

/** The state of servers and memory; `queues` names lengths of what waits inside. */
export function describeState(
  servers: readonly RunningServer[],
  queues: Readonly<Record<string, number>> = {},
): string {
  const { rss, heapTotal, heapUsed, external } = Deno.memoryUsage();
  const lines = [`memory: resident ${rss}, heap ${heapUsed} of ${heapTotal}, external ${external} bytes`];
  for (const [name, length] of Object.entries(queues)) lines.push(`${name}: ${length}`);
  for (const server of servers) {
    lines.push(`${server.address}: ${server.connections} connections, ${callLines(server.calls())}`.trimEnd());
  }
  return `${lines.join("\n")}\n`;
}

/** Writes the text to the file that containerd uses for its stacks, below TMPDIR, and gives its path. */
export function writeStateFile(text: string): string {
  const directory = Deno.env.get("TMPDIR") ?? "/tmp";
  const path = `${directory}/containerd.${Deno.pid}.stacks.log`;
  // A new file under this name: in a directory that everybody writes to, somebody may have put a link there.
  const temporary = `${path}.${crypto.randomUUID()}`;
  Deno.writeTextFileSync(temporary, text, { createNew: true, mode: 0o600 });
  Deno.renameSync(temporary, path);
  return path;
}
