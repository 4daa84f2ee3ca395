import assert from "node:assert/strict";
import { Status } from "../../api/gen/types/task/task.ts";
import { decide, parsePolicy, restartLabels, RestartPauses, RestartSettling } from "./restart_policy.ts";

Deno.test("parsePolicy() reads all policies and refuses others", () => {
  assert.deepEqual(parsePolicy(""), { name: "always" });
  assert.deepEqual(parsePolicy("unless-stopped"), { name: "unless-stopped" });
  assert.deepEqual(parsePolicy("on-failure"), { name: "on-failure", retriesMax: 0 });
  assert.deepEqual(parsePolicy("on-failure:3"), { name: "on-failure", retriesMax: 3 });
  for (const text of ["never", "on-failure:x", "on-failure:1:2", "always:1", ":1", "on-failure:-1"]) {
    assert.throws(() => parsePolicy(text), { code: "InvalidArgument" }, text);
  }
});

Deno.test("decide() follows labels and the task's state", () => {
  const { status, policy, count, explicitlyStopped } = restartLabels;
  const stopped = (exitStatus: number) => ({ status: Status.STOPPED, exitStatus });
  const running = { status: Status.RUNNING, exitStatus: 0 };
  assert.equal(decide({}, undefined), "leave");
  assert.equal(decide({ [status]: "running" }, undefined), "start");
  assert.equal(decide({ [status]: "running" }, running), "leave");
  assert.equal(decide({ [status]: "running" }, { status: Status.UNKNOWN, exitStatus: 0 }), "leave");
  assert.equal(decide({ [status]: "running" }, { status: Status.CREATED, exitStatus: 0 }), "start");
  assert.equal(decide({ [status]: "running" }, stopped(0)), "start");
  assert.equal(decide({ [status]: "running", [policy]: "no" }, stopped(1)), "leave");
  const onFailure = { [status]: "running", [policy]: "on-failure:2" };
  assert.equal(decide(onFailure, stopped(0)), "leave");
  assert.equal(decide(onFailure, stopped(1)), "start");
  assert.equal(decide({ ...onFailure, [count]: "1" }, stopped(1)), "start");
  assert.equal(decide({ ...onFailure, [count]: "2" }, stopped(1)), "leave");
  const unless = { [status]: "running", [policy]: "unless-stopped" };
  assert.equal(decide(unless, stopped(0)), "start");
  assert.equal(decide({ ...unless, [explicitlyStopped]: "true" }, stopped(0)), "leave");
  assert.equal(decide({ [status]: "stopped" }, running), "stop");
  assert.equal(decide({ [status]: "stopped" }, stopped(0)), "leave");
  assert.equal(decide({ [status]: "stopped" }, undefined), "leave");
});

Deno.test("RestartPauses let a container that fails at once wait longer each time, and forgive", () => {
  const pauses = new RestartPauses();
  let now = 0;
  const waits: number[] = [];
  for (let start = 0; start < 12; start++) {
    const from = now;
    while (!pauses.allows("a", now)) now += 500;
    waits.push(now - from);
    pauses.started("a", now);
  }
  assert.deepEqual(waits.slice(0, 6), [0, 1000, 2000, 4000, 8000, 16000]);
  assert.equal(Math.max(...waits), 300_000);
  assert.equal(pauses.allows("b", now), true);
  now += 86_400_000;
  pauses.started("a", now);
  assert.equal(pauses.allows("a", now + 1000), true);
  pauses.keep(new Set());
  assert.equal(pauses.allows("a", now), true);
});

Deno.test("RestartSettling leaves a container to the client that is about to start it", () => {
  const settling = new RestartSettling();
  const created = { status: Status.CREATED };
  assert.equal(settling.isOver("a", undefined, 0), false);
  assert.equal(settling.isOver("a", created, 4000), false);
  assert.equal(settling.isOver("a", created, 5000), true);
  assert.equal(settling.isOver("a", { status: Status.STOPPED }, 5001), true);
  assert.equal(settling.isOver("a", undefined, 5002), false);
  settling.keep(new Set());
  assert.equal(settling.isOver("a", undefined, 20_000), false);
});
