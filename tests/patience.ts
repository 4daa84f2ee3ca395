/**
 * How long tests wait for what must come: longer where the machine has more to do than it can, so that no test depends on being
 * alone. What must *not* take long is never measured by these.
 *
 * @module
 */

/** However much there is to do, nothing is waited for longer than so many times. */
const slownessMax = 30;

/** How many times longer things take, by Linux's counts of what wants to run (proc_loadavg(5)) and of processors. */
export function slownessOf(loadavg: string, processors: number): number {
  const [lastMinute, , , now] = loadavg.split(" ");
  const wanting = Math.max(Number(lastMinute), Number(now?.split("/")[0]));
  return Number.isFinite(wanting) ? Math.min(Math.max(wanting / processors, 1), slownessMax) : 1;
}

/** How many times longer things take now than on an idle machine: at least 1. */
export function slowness(): number {
  return slownessOf(Deno.readTextFileSync("/proc/loadavg"), navigator.hardwareConcurrency);
}

/** The time for which to wait, in milliseconds, where `idleMs` is enough on an idle machine. */
export function patient(idleMs: number): number {
  return idleMs * slowness();
}

/** The moment, by `performance.now()`, until which to wait. */
export function patientEnd(idleMs: number): number {
  return performance.now() + patient(idleMs);
}
