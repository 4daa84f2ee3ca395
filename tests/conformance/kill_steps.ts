/**
 * The steps of a command of the runtime, as system calls, and the command killed before one of them (strace(1)).
 *
 * A kill between two calls leaves what a kill before the second one leaves; so all moments are covered by the calls that
 * change something outside of the process, or that wait.
 *
 * @module
 */
import { execute, type Finished } from "../command.ts";

/** One call: the n-th of its name. */
export interface KillStep {
  readonly call: string;
  readonly number: number;
}

/** Calls of the runtime itself that change something, or let others go on. */
export const runtimeCalls: readonly string[] = [
  ..."clone3 close exit_group fchmod fchown kill link mkdir mkdirat mknodat openat pidfd_open pidfd_send_signal".split(
    " ",
  ),
  ..."pipe2 poll ppoll prlimit64 rename renameat2 rmdir sendmsg setns socketpair umask unlink unlinkat waitid".split(
    " ",
  ),
  ..."write epoll_wait".split(" "),
];

/** Calls that a container's first process makes and the runtime does not: each of them is one of its own steps. */
export const childCalls: readonly string[] = [
  ..."capset chdir close_range dup3 fchdir fsconfig fsmount fsopen keyctl mount mount_setattr move_mount".split(" "),
  ..."open_tree pivot_root sethostname setgroups setresgid setresuid setsid symlinkat umount2".split(" "),
];

/** Options of {@link killStepsOf} and {@link killBefore}. */
export interface Traced {
  /** A file for strace's lines. */
  readonly output: string;
  /** Whether children are followed: then only calls that the runtime does not make itself are its child's. */
  readonly follow: boolean;
}

/** The steps that the command takes, in order, from the first that names `from` on. The command is performed. */
export async function killStepsOf(
  command: readonly string[],
  calls: readonly string[],
  from: string,
  { output, follow }: Traced,
): Promise<KillStep[]> {
  const { code, stderr } = await execute([...strace(output, follow), `--trace=${known(calls)}`, ...detached(command)]);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code} under strace: ${stderr}`);
  const counts = new Map<string, number>();
  const steps: KillStep[] = [];
  let begun = false;
  for (const line of (await Deno.readTextFile(output)).split("\n")) {
    const call = /^(?:\d+ +)?(\w+)\(/.exec(line)?.[1];
    if (call === undefined) continue;
    const number = (counts.get(call) ?? 0) + 1;
    counts.set(call, number);
    begun ||= line.includes(from);
    if (begun) steps.push({ call, number });
  }
  return steps;
}

/** Performs the command, killed before the step. A code of 137 says that the step was reached by the runtime itself. */
export async function killBefore(
  command: readonly string[],
  step: KillStep,
  { output, follow }: Traced,
): Promise<Finished> {
  return await execute([
    ...strace(output, follow),
    `--trace=${step.call}`,
    `--inject=${step.call}:signal=KILL:when=${step.number}`,
    ...detached(command),
  ]);
}

const strace = (
  output: string,
  follow: boolean,
) => ["strace", ...follow ? ["--follow-forks"] : [], `--output=${output}`];

/** A question mark lets strace pass over calls that this architecture does not have. */
const known = (calls: readonly string[]) => calls.map((call) => `?${call}`).join(",");

/** What a container inherits of standard streams must not keep the test waiting. */
const detached = (command: readonly string[]) => ["sh", "-c", 'exec "$@" </dev/null >/dev/null 2>&1', "sh", ...command];
