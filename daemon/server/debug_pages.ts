/**
 * The pages of the debug socket, under the paths of Go's `expvar` and `net/http/pprof` that `ctr pprof` asks for. What a
 * program on V8 has no counterpart of is refused with a sentence.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import { type CallInFlight, callLines } from "./call_lines.ts";
import { cpuProfile } from "./cpu_profile.ts";

const profiles: Readonly<Record<string, string>> = {
  cmdline: "The command line, its words separated by NUL",
  goroutine: "The calls that are being answered, the oldest first",
  heap: "V8's heap by space",
  profile: "CPU profile of the main thread as JSON (.cpuprofile) over ?seconds=N, at most 300, else 30",
};

/** Of Go's profiles; V8 does not keep what they would show. */
const unavailable: Readonly<Record<string, string>> = {
  allocs: "V8 does not sample past allocations: see heap",
  block: "one thread runs the daemon and never waits for a lock: see goroutine",
  mutex: "one thread runs the daemon and never waits for a lock: see goroutine",
  threadcreate: "threads are made by the runtime and have no stacks of JavaScript",
  symbol: "profiles hold the names of functions already",
  trace: "V8 has no execution trace: take a CPU profile (profile)",
};

/** Answers the debug socket's requests; the function gives the calls that are being answered, the oldest first. */
export function debugPages(calls: () => readonly CallInFlight[]): (request: Request) => Promise<Response> | Response {
  return (request) => {
    if (request.method !== "GET") return text("want GET", 405);
    const url = new URL(request.url);
    if (url.pathname === "/debug/vars") return vars();
    if (url.pathname === "/debug/pprof" || url.pathname === "/debug/pprof/") return index(calls().length);
    const name = /^\/debug\/pprof\/(\w+)$/.exec(url.pathname)?.[1] ?? "";
    switch (name) {
      case "cmdline":
        return text(commandLine().join("\0"));
      case "goroutine":
        return text(callLines(calls()));
      case "heap":
        return heap();
      case "profile":
        return profile(url, request.signal);
    }
    const reason = Object.hasOwn(unavailable, name) ? unavailable[name] : undefined;
    return reason === undefined
      ? text("404 page not found\n", 404)
      : text(`the profile "${name}" is not implemented: ${reason}\n`, 501);
  };
}

function text(body: string, status = 200): Response {
  return new Response(body, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}

function commandLine(): string[] {
  return Deno.readTextFileSync("/proc/self/cmdline").split("\0").slice(0, -1);
}

function vars(): Response {
  const { rss, heapTotal, heapUsed, external } = Deno.memoryUsage();
  // The names that readers of expvar look for, with what V8 has in their place.
  const memstats = { Sys: rss, Alloc: heapUsed, HeapAlloc: heapUsed, HeapSys: heapTotal, OtherSys: external };
  return Response.json({ cmdline: commandLine(), memstats }, {
    headers: { "content-type": "application/json; charset=utf-8" },
  });
}

function index(calls: number): Response {
  const rows = Object.entries(profiles).map(([name, what]) =>
    `<tr><td>${
      name === "goroutine" ? calls : 0
    }</td><td><a href='${name}?debug=1'>${name}</a></td><td>${what}</td></tr>`
  );
  const body = `<html><head><title>/debug/pprof/</title></head><body>/debug/pprof/<br>\n<table>\n` +
    `<thead><td>Count</td><td>Profile</td></thead>\n${rows.join("\n")}\n</table></body></html>\n`;
  return new Response(body, { headers: { "content-type": "text/html; charset=utf-8" } });
}

async function heap(): Promise<Response> {
  const { getHeapSpaceStatistics, getHeapStatistics } = await import("node:v8");
  const lines = Object.entries(getHeapStatistics()).map(([name, value]) => `${name} ${value}`);
  for (const { space_name, space_used_size, space_size } of getHeapSpaceStatistics()) {
    lines.push(`${space_name} ${space_used_size} of ${space_size}`);
  }
  return text(`${lines.join("\n")}\n`);
}

async function profile(url: URL, signal: AbortSignal): Promise<Response> {
  const seconds = Number(url.searchParams.get("seconds") ?? 30);
  if (!(seconds > 0)) return text("seconds: want a number above 0\n", 400);
  try {
    return new Response(await cpuProfile(seconds, signal), { headers: { "content-type": "application/json" } });
  } catch (error) {
    return text(`${messageOf(error)}\n`, 503);
  }
}
