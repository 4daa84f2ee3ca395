import assert from "node:assert/strict";
import { GroupDefinition } from "../../api/gen/shim/v1/group.ts";
import { ServiceTable } from "../../api/rpc/definition.ts";
import { serve } from "../../api/ttrpc/server.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { reservePlace } from "./find_shim.ts";
import { GroupService } from "./group_service.ts";
import { ShimLifetime } from "./shim_life.ts";

Deno.test("reservePlace() finds the running shim, passes a full one by, and takes a dead one's place", async () => {
  using reactor = new Reactor();
  const socketDirectory = await Deno.makeTempDir();
  const name = { address: "/c.sock", namespace: "n", group: "g", socketDirectory };
  const signal = new AbortController().signal;
  try {
    const first = await reservePlace(reactor, name, "a", signal);
    assert(first.found === "none");
    const life = new ShimLifetime(reactor, { placesMax: 1, lingers: true });
    const refuse = () => Promise.reject(new Error("nobody asks for this here"));
    const service = new GroupService(life, { deposit: refuse, adopt: refuse });
    const server = serve(first.listener, new ServiceTable().add(GroupDefinition, service));
    assert.deepEqual(await reservePlace(reactor, name, "a", signal), {
      found: "running",
      socket: first.socket,
      pid: Deno.pid,
    });
    assert.equal(life.reserved, 1);
    const second = await reservePlace(reactor, name, "b", signal);
    assert(second.found === "none");
    assert.notEqual(second.socket, first.socket);
    // A listener that is closed leaves its file, as a killed shim does.
    second.listener.close();
    const again = await reservePlace(reactor, name, "b", signal);
    assert(again.found === "none");
    assert.equal(again.socket, second.socket);
    again.listener.close();
    life.end();
    server.close();
    await server.closed;
  } finally {
    await Deno.remove(socketDirectory, { recursive: true });
  }
});
