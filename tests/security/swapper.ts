/**
 * An attacker on the host's side of a shared volume: a process that exchanges two names until it is ended, or until its
 * standard input is. Says "swapping" when it has begun.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { call } from "../../ffi/syscall.ts";
import { Running, sourceRoot } from "../command.ts";

/** linux/fs.h RENAME_EXCHANGE */
const exchange = 2;

/** How often it looks whether its parent still lives: it must not outlive a test. */
const swapsBetweenLooks = 50_000;

if (import.meta.main) {
  const [one, other] = Deno.args as [string, string];
  const parent = Deno.ppid;
  console.log("swapping");
  for (let swaps = 1; swaps % swapsBetweenLooks !== 0 || Deno.ppid === parent; swaps++) {
    call("renameat2", flags("AT_FDCWD"), one, flags("AT_FDCWD"), other, exchange);
  }
}

/** Begins to exchange the two names. Dispose of it to end it. */
export async function startSwapper(one: string, other: string): Promise<Running> {
  const words = [Deno.execPath(), "run", "--allow-all", "--quiet", "--config", `${sourceRoot}/deno.json`];
  const swapper = new Running([...words, `${sourceRoot}/tests/security/swapper.ts`, one, other], {
    timeoutMs: 600_000,
  });
  await swapper.says("swapping");
  return swapper;
}
