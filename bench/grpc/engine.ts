/**
 * Speed of the gRPC engine alone: `deno run -A bench/grpc/engine.ts`. The server is a process of its own.
 *
 * @module
 */
import { connect, dialUnix } from "../../api/grpc/client.ts";
import { serve } from "../../api/grpc/server.ts";
import { downRequest, Echo, EchoDefinition, echoTable } from "../../tests/grpc/echo.ts";

const callsMs = 3_000;
const chunkBytes = 1 << 20;
const chunks = 2_000;

function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
  return Number(kilobytes) * 1024;
}

async function runServer(path: string): Promise<void> {
  const server = serve(Deno.listen({ transport: "unix", path }), echoTable(new Echo()));
  console.log("ready");
  await server.closed;
}

async function startServer(path: string): Promise<Deno.ChildProcess> {
  const args = ["run", "-A", "--no-code-cache", new URL(import.meta.url).pathname, "serve", path];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  await child.stdout.getReader().read();
  return child;
}

async function measureCalls(path: string): Promise<void> {
  const channel = connect({ open: dialUnix(path) });
  const client = channel.client(EchoDefinition);
  const request = new Uint8Array(64);
  for (let warm = 0; warm < 20_000; warm++) await client.unary(request);
  const latencies: number[] = [];
  for (const end = performance.now() + callsMs; performance.now() < end;) {
    const began = performance.now();
    await client.unary(request);
    latencies.push(performance.now() - began);
  }
  latencies.sort((a, b) => a - b);
  const microseconds = (part: number) => Math.round(latencies[Math.floor(latencies.length * part)]! * 1000);
  console.log(`one after another: p50 ${microseconds(0.5)} µs, p99 ${microseconds(0.99)} µs`);
  for (const concurrent of [64, 256]) {
    let done = 0;
    const began = performance.now();
    const caller = async () => {
      while (performance.now() - began < callsMs) {
        await client.unary(request);
        done++;
      }
    };
    await Promise.all(Array.from({ length: concurrent }, caller));
    console.log(`${concurrent} at once: ${Math.round(done / (performance.now() - began) * 1000)} calls/s`);
  }
  channel.close();
}

async function measureStreams(path: string): Promise<void> {
  const channel = connect({ open: dialUnix(path) });
  const client = channel.client(EchoDefinition);
  const speed = (began: number) => Math.round(chunks * chunkBytes / 1e6 / (performance.now() - began) * 1000);
  for (let round = 0; round < 2; round++) {
    let began = performance.now();
    for await (const _ of client.down(downRequest(chunks, chunkBytes)));
    console.log(`down: ${speed(began)} MB/s`);
    const chunk = new Uint8Array(chunkBytes);
    began = performance.now();
    await client.up(async function* () {
      for (let sent = 0; sent < chunks; sent++) yield await Promise.resolve(chunk);
    }());
    console.log(`up: ${speed(began)} MB/s`);
  }
  channel.close();
}

async function measureIdle(path: string, pid: number): Promise<void> {
  const count = 5_000;
  const before = residentBytes(pid);
  const sockets: Deno.Conn[] = [];
  const channels = [];
  for (let made = 0; made < count; made++) {
    const channel = connect({ open: dialUnix(path) });
    await channel.client(EchoDefinition).unary(new Uint8Array(8));
    channels.push(channel);
  }
  console.log(`idle connection: ${Math.round((residentBytes(pid) - before) / count)} bytes`);
  for (const channel of channels) channel.close();
  for (const socket of sockets) socket.close();
}

if (Deno.args[0] === "serve") await runServer(Deno.args[1]!);
else {
  const directory = await Deno.makeTempDir({ prefix: "barge-grpc-bench-" });
  const path = `${directory}/s.sock`;
  const server = await startServer(path);
  try {
    await measureCalls(path);
    await measureStreams(path);
    await measureIdle(path, server.pid);
    console.log(`server: ${Math.round(residentBytes(server.pid) / 1e6)} MB`);
  } finally {
    server.kill();
    await server.status;
    await Deno.remove(directory, { recursive: true });
  }
  Deno.exit(0);
}
