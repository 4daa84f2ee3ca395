/**
 * `containerd publish`, which shims of daemons without a ttrpc socket call.
 */
import assert from "node:assert/strict";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { TaskOOM } from "../../api/gen/events/task.ts";
import { barge, execute, Running, systemTest } from "../command.ts";
import { startDaemon } from "./daemon_fixture.ts";

systemTest(
  "barge daemon publish brings an event to the daemon's listeners, as stock's does",
  ["containerd", "ctr"],
  async () => {
    await using daemon = await startDaemon();
    await using listener = new Running(["ctr", "--address", daemon.address, "events"]);
    const value = TaskOOM.encode(TaskOOM.fromPartial({ containerId: "one" })).finish();
    const event = Any.encode(Any.create({ typeUrl: "containerd.events.TaskOOM", value })).finish();
    // The serialized event is text here: it has no byte beyond 127.
    const stdin = new TextDecoder("utf-8", { fatal: true }).decode(event);
    const sides = [["containerd"], [...barge, "daemon"]];
    const publish = (side: readonly string[], topic: string, namespace: string) =>
      execute([...side, "--address", daemon.address, "publish", "--topic", topic, "--namespace", namespace], { stdin });
    for (const [index, side] of sides.entries()) {
      // The listener needs a moment to be one.
      for (let tries = 0; tries < 50 && !listener.stdout.includes(`/tasks/oom${index}`); tries++) {
        const { code, stderr } = await publish(side, `/tasks/oom${index}`, "here");
        assert.equal(code, 0, stderr);
      }
      assert.match(listener.stdout, new RegExp(`here /tasks/oom${index} \\{"container_id":"one"\\}`));
    }
    for (const side of sides) assert.equal((await publish(side, "", "here")).code, 1);
    const wrong = await execute([
      ...barge,
      "daemon",
      "-a",
      "/none.sock",
      "publish",
      "--topic",
      "/x",
      "--namespace",
      "y",
    ], { stdin });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /none\.sock/);
  },
);
