import assert from "node:assert/strict";
import type { CallInFlight } from "./call_lines.ts";
import { debugPages } from "./debug_pages.ts";

async function get(path: string, calls: CallInFlight[] = []): Promise<{ status: number; body: string }> {
  const response = await debugPages(() => calls)(new Request(`http://debug${path}`));
  return { status: response.status, body: await response.text() };
}

Deno.test("debugPages() lists the calls in flight where Go lists goroutines", async () => {
  const calls = [{ path: "/a.B/C", peer: { address: "unix" }, began: performance.now() }];
  assert.match(
    (await get("/debug/pprof/goroutine?debug=2", calls)).body,
    /^1 calls in flight\n\/a.B\/C from unix, 0\.\d{3}s\n$/,
  );
  assert.equal((await get("/debug/pprof/goroutine")).body, "0 calls in flight\n");
});

Deno.test("debugPages() tells memory, command line and heap", async () => {
  const vars = JSON.parse((await get("/debug/vars")).body);
  assert.ok(vars.memstats.HeapAlloc > 0 && vars.cmdline.length > 1);
  assert.ok((await get("/debug/pprof/cmdline")).body.split("\0").length > 1);
  assert.match((await get("/debug/pprof/heap")).body, /used_heap_size \d+[^]*old_space \d+ of \d+/);
  assert.match((await get("/debug/pprof/")).body, /goroutine/);
});

Deno.test("debugPages() takes a CPU profile, one at a time", async () => {
  const [first, second] = await Promise.all([
    get("/debug/pprof/profile?seconds=0.05"),
    get("/debug/pprof/profile?seconds=0.05"),
  ]);
  assert.ok(JSON.parse(first.body).nodes.length > 0);
  assert.deepEqual([second.status, /already/.test(second.body)], [503, true]);
  assert.equal((await get("/debug/pprof/profile?seconds=x")).status, 400);
});

Deno.test("debugPages() refuses what V8 has not with a sentence, and unknown pages as Go does", async () => {
  assert.deepEqual((await get("/debug/pprof/mutex")).status, 501);
  assert.match((await get("/debug/pprof/mutex")).body, /not implemented: one thread/);
  for (const path of ["/", "/debug/pprof/nothing", "/debug/pprof/constructor"]) {
    assert.deepEqual(await get(path), { status: 404, body: "404 page not found\n" });
  }
});
