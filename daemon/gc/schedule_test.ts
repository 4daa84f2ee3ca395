import { equal } from "node:assert/strict";
import { defaultThresholds, Schedule } from "./schedule.ts";

/** A schedule that has had its first collection at 100, which took 5 ms: its interval is 245 ms. */
function started(thresholds: Partial<typeof defaultThresholds> = {}): Schedule {
  const schedule = new Schedule({ ...defaultThresholds, ...thresholds }, 0);
  equal(schedule.due, 100);
  schedule.began();
  schedule.ended(100, 5, undefined);
  return schedule;
}

Deno.test("Schedule collects nothing while nothing happens", () => equal(started().due, undefined));

Deno.test("Schedule collects a deletion at the next tick, and mutations when there are enough", () => {
  const deleted = started();
  deleted.changed(1, 1, 200);
  equal(deleted.due, 345);
  const mutated = started();
  mutated.changed(99, 0, 200);
  equal(mutated.due, undefined);
  mutated.changed(1, 0, 1000);
  equal(mutated.due, 1000);
});

Deno.test("Schedule waits scheduleDelayMs after a trigger, once", () => {
  const schedule = started({ deletionThreshold: 2, scheduleDelayMs: 500 });
  schedule.changed(0, 2, 1000);
  schedule.changed(0, 2, 1400);
  equal(schedule.due, 345);
});

Deno.test("Schedule takes no more than its share of the time", () => {
  const schedule = new Schedule(defaultThresholds, 0);
  schedule.began();
  schedule.ended(1000, 1000, undefined);
  schedule.changed(1000, 1000, 1001);
  equal(schedule.due, 1000 + 49_000);
});

Deno.test("Schedule comes back when something expires, and hourly at least", () => {
  const schedule = new Schedule(defaultThresholds, 0);
  schedule.began();
  schedule.ended(100, 5, 10_000);
  equal(schedule.due, 10_100);
  schedule.began();
  schedule.ended(10_100, 5, 1e12);
  equal(schedule.due, 10_100 + 3_600_000);
});
