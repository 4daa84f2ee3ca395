/**
 * Where a shim stands among other processes.
 *
 * @module
 */

/** The shim is the first to go when memory is short, after containerd itself: its score is one more than this process's. */
export function raiseScore(pid: number): void {
  try {
    const score = Number(Deno.readTextFileSync("/proc/self/oom_score_adj"));
    Deno.writeTextFileSync(`/proc/${pid}/oom_score_adj`, String(Math.min(score + 1, 1000)));
  } catch {
    // Without the right to change it the score stays the parent's, which is one less.
  }
}

/** Accounts it in the cgroup that the runtime option names; empty without one. Throws {@link SyscallError}. */
export async function accountIn(pid: number, shimCgroup: string): Promise<void> {
  if (shimCgroup === "") return;
  const { moveToCgroup } = await import("./shim_cgroup.ts");
  moveToCgroup(pid, shimCgroup);
}
