/**
 * Signals by name or number.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** The kernel's names in the order of their numbers, from 1 (signal(7), x86_64 and aarch64). */
const names = (
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG " +
  "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split(" ");

/** `15`, `TERM` or `sigterm` as a number. Throws `InvalidArgument` for a name that is none. */
export function signalNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const name = text.toUpperCase().replace(/^SIG/, "");
  const realtime = /^RTM(IN|AX)(?:([+-])(\d+))?$/.exec(name);
  if (realtime !== null) {
    const offset = Number(`${realtime[2] ?? "+"}${realtime[3] ?? 0}`);
    return (realtime[1] === "IN" ? 34 : 64) + offset;
  }
  const index = names.indexOf(name);
  if (index < 0) throw new Failure("InvalidArgument", `unknown signal "${text}"`);
  return index + 1;
}
