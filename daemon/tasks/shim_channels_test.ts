import assert from "node:assert/strict";
import { GroupDefinition } from "../../api/gen/shim/v1/group.ts";
import { ServiceTable } from "../../api/rpc/definition.ts";
import { serve } from "../../api/ttrpc/server.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { listenStream } from "../../ffi/stream_listener.ts";
import { Logger } from "../log/logger.ts";
import type { ShimEndpoint } from "./bootstrap.ts";
import { ShimChannels } from "./shim_channels.ts";

const info = { shimPid: 1, version: "", containers: 0, reserved: 0, places: 1 };
const refuse = () => Promise.reject(new Error("nobody asks for this here"));

/** A shim that answers who it is. */
async function withShim(
  body: (channels: ShimChannels, endpoint: ShimEndpoint, end: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  using reactor = new Reactor();
  const group = { info: () => Promise.resolve(info), reserve: refuse, deposit: refuse, adopt: refuse };
  const server = serve(listenStream(reactor, `${directory}/s`), new ServiceTable().add(GroupDefinition, group));
  const end = async (): Promise<void> => {
    server.close();
    await server.closed;
  };
  const log = Logger.to({ target: { write: () => {}, reopen: () => {} } });
  const channels = new ShimChannels(reactor, log);
  try {
    await body(channels, { address: `unix://${directory}/s`, protocol: "ttrpc", version: 2 }, end);
  } finally {
    channels.close();
    await end();
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("ShimChannels connects a shim once for all users, and for a while if it is held", () =>
  withShim(async (channels, endpoint) => {
    const channel = channels.take(endpoint);
    assert.equal((await channel.clientOf(GroupDefinition).info({})).shimPid, 1);
    assert.equal(channels.take(endpoint), channel);
    assert.equal(channels.users(channel), 2);
    channels.give(channel, true);
    channels.hold(channel);
    channels.give(channel, true);
    assert.deepEqual([channel.open, channels.users(channel)], [true, 0]);
    assert.equal(channels.take(endpoint), channel);
    channels.drop(channel);
    assert.equal(channel.open, true);
    channels.give(channel, true);
    assert.equal(channel.open, false);
    assert.notEqual(channels.take(endpoint), channel);
  }));

Deno.test("ShimChannels forgets a connection that is held when the shim ends", () =>
  withShim(async (channels, endpoint, end) => {
    const channel = channels.take(endpoint);
    const lost = Promise.withResolvers<void>();
    await channel.clientOf(GroupDefinition).info({});
    channels.hold(channel);
    channels.give(channel, true);
    channel.losers.add(lost.resolve);
    await end();
    await lost.promise;
    assert.equal(channel.open, false);
    assert.notEqual(channels.take(endpoint), channel);
  }));
