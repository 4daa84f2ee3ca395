/**
 * Whether this process is root only inside a user namespace.
 *
 * @module
 */

let answer: boolean | undefined;

/** True unless user ids map to themselves over the whole range, as they do in the first user namespace. */
export function inUserNamespace(): boolean {
  return answer ??= !/^\s*0\s+0\s+4294967295\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"));
}
