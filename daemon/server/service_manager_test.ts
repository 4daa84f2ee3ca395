import assert from "node:assert/strict";
import { ServiceManager, takeManagerVariables } from "./service_manager.ts";

const names = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

function withVariables(variables: Record<string, string>, body: () => void): void {
  const former = new Map(names.map((name) => [name, Deno.env.get(name)]));
  try {
    for (const name of names) Deno.env.delete(name);
    for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
    body();
  } finally {
    for (const [name, value] of former) value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  }
}

Deno.test("takeManagerVariables() takes the variables away, and the watchdog only where it is for this process", () => {
  withVariables({ NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "3000000", WATCHDOG_PID: String(Deno.pid) }, () => {
    assert.deepEqual(takeManagerVariables(), { socket: "/n", watchdogMs: 3000 });
    assert.deepEqual(names.map((name) => Deno.env.get(name)), [undefined, undefined, undefined]);
  });
  withVariables({ NOTIFY_SOCKET: "", WATCHDOG_USEC: "3000000", WATCHDOG_PID: "1" }, () => {
    assert.deepEqual(takeManagerVariables(), { socket: undefined, watchdogMs: undefined });
  });
  withVariables({ WATCHDOG_USEC: "soon" }, () => assert.equal(takeManagerVariables().watchdogMs, undefined));
});

Deno.test("ServiceManager reports a socket that cannot be reached, and is silent without one", () => {
  const problems: unknown[] = [];
  new ServiceManager({ socket: "/nowhere/notify", watchdogMs: undefined }, (error) => problems.push(error)).ready();
  assert.match(String(problems[0]), /no such file/);
  new ServiceManager({ socket: undefined, watchdogMs: 10 }, (error) => problems.push(error)).ready();
  assert.equal(problems.length, 1);
});
