/**
 * Becoming another program.
 *
 * @module
 */
import { cString } from "./libc.ts";
import { readLaunch } from "./launch.ts";
import { call } from "./syscall.ts";

const SIGPIPE = 13;
const RLIMIT_NOFILE = 7;
/** A zeroed `struct sigaction` of the kernel is SIG_DFL; it is 32 bytes on x86_64, and shorter on aarch64. */
const actionBytes = 32;
const signalSetBytes = 8;

/**
 * Runs the program in this process. What Deno has changed of it becomes again as the caller had it: SIGPIPE, the limit of
 * open files. Returns only by throwing what execve(2) says.
 */
export function becomeProgram(path: string, words: readonly string[], environment: ReadonlyMap<string, string>): never {
  const variables = [...environment].map(([name, value]) => `${name}=${value}`);
  const [argv, envp] = [cStrings(words), cStrings(variables)];
  call("rt_sigaction", SIGPIPE, new Uint8Array(actionBytes), 0, signalSetBytes);
  const { nofile } = readLaunch();
  if (nofile !== undefined) call("prlimit64", 0, RLIMIT_NOFILE, BigUint64Array.of(nofile.soft, nofile.hard), 0);
  call("execve", path, argv.pointers, envp.pointers);
  throw new Error("execve(2) returned without an error");
}

/** A list of C strings with a null pointer at its end; `texts` keeps them from being collected. */
function cStrings(values: readonly string[]): {
  readonly pointers: BigUint64Array<ArrayBuffer>;
  readonly texts: readonly Uint8Array<ArrayBuffer>[];
} {
  const texts = values.map(cString);
  const addresses = texts.map((text) => Deno.UnsafePointer.value(Deno.UnsafePointer.of(text)));
  return { pointers: BigUint64Array.from([...addresses, 0n]), texts };
}
