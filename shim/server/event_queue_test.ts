import assert from "node:assert/strict";
import { TaskStart } from "../../api/gen/events/task.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { EventQueue } from "./event_queue.ts";

Deno.test("EventQueue sends one event after the other, and again what was not taken", async () => {
  using reactor = new Reactor();
  const told: string[] = [];
  let failures = 1, under = 0;
  const queue = new EventQueue(reactor, {
    namespace: "n",
    warn: (text) => told.push(text),
    publish: async ({ topic, namespace, event }) => {
      assert.equal(++under, 1, "two events at once");
      await Promise.resolve();
      under--;
      if (topic === "/b" && failures-- > 0) throw new Error("no daemon");
      assert.equal(namespace, "n");
      assert.equal(event?.typeUrl, "containerd.events.TaskStart");
      told.push(`${topic} ${TaskStart.decode(event!.value).pid}`);
    },
  });
  for (const [index, topic] of ["/a", "/b", "/c"].entries()) {
    queue.add(topic, "TaskStart", TaskStart, { containerId: "x", pid: index });
  }
  while (told.length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
  await queue.close();
  assert.deepEqual(told, ["/a 0", "/b 1", "/c 2"]);
});

Deno.test("EventQueue gives an event up at its end, and says so", async () => {
  using reactor = new Reactor();
  const warnings: string[] = [];
  const publish = () => Promise.reject(new Error("no daemon"));
  const queue = new EventQueue(reactor, { namespace: "n", warn: (text) => warnings.push(text), publish });
  queue.add("/a", "TaskStart", TaskStart, { containerId: "x", pid: 1 });
  await queue.close();
  assert.deepEqual(warnings, ["the event /a is lost: no daemon"]);
});

Deno.test("EventQueue sends an event that comes in the very moment in which the last one was taken", async () => {
  using reactor = new Reactor();
  for (let microtasks = 0; microtasks < 24; microtasks++) {
    const told: string[] = [];
    const publish = async ({ topic }: { topic: string }) => {
      told.push(topic);
      await Promise.resolve();
      if (topic === "/first") void addLater();
    };
    const queue = new EventQueue(reactor, { namespace: "n", warn: assert.fail, publish });
    const addLater = async () => {
      for (let count = 0; count < microtasks; count++) await Promise.resolve();
      queue.add("/second", "TaskStart", TaskStart, { containerId: "x", pid: 2 });
    };
    queue.add("/first", "TaskStart", TaskStart, { containerId: "x", pid: 1 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(told, ["/first", "/second"], `after ${microtasks} microtasks`);
    await queue.close();
  }
});
