/**
 * Compiles assertions against the headers of the kernel and of the C library, for both architectures.
 *
 * @module
 */
import type { PeerName } from "./peers.ts";

/** Compilers by architecture, and the peers that they and their headers come from. */
export const compilers = {
  x86_64: { command: "gcc", peers: ["gcc", "libc6-dev"] },
  aarch64: {
    command: "aarch64-linux-gnu-gcc",
    peers: ["gcc-aarch64-linux-gnu", "linux-libc-dev-arm64-cross", "libc6-dev-arm64-cross"],
  },
} as const satisfies Record<string, { command: string; peers: readonly PeerName[] }>;

/** An architecture that assertions can be compiled for. */
export type HeaderArch = keyof typeof compilers;

/** What the compiler says of some assertions, by their names. */
export interface Verdict {
  /** Assertions that do not hold. */
  wrong: string[];
  /** Identifiers that the headers do not have. */
  unknown: string[];
}

/**
 * Checks C expressions by name. Throws with the compiler's words for any error that is neither a wrong assertion nor
 * an unknown identifier (a header that is missing, a struct that is not defined).
 */
export async function checkAssertions(
  arch: HeaderArch,
  headers: readonly string[],
  assertions: ReadonlyMap<string, string>,
): Promise<Verdict> {
  const source = "#define _GNU_SOURCE\n#include <stddef.h>\n" +
    headers.map((header) => `#include <${header}>\n`).join("") +
    [...assertions].map(([name, expression]) => `_Static_assert(${expression}, "<<${name}>>");\n`).join("");
  const child = new Deno.Command(compilers[arch].command, {
    args: ["-fsyntax-only", "-fmax-errors=0", "-fno-diagnostics-show-caret", "-x", "c", "-"],
    env: { LC_ALL: "C" },
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  const messages = new TextDecoder().decode((await child.output()).stderr);
  const verdict: Verdict = { wrong: [], unknown: [] };
  for (const line of messages.split("\n").filter((line) => /\berror:/.test(line))) {
    const wrong = /static assertion failed: "<<(.*)>>"/.exec(line)?.[1];
    const unknown = /'(\w+)' undeclared/.exec(line)?.[1];
    if (wrong !== undefined) verdict.wrong.push(wrong);
    else if (unknown !== undefined) verdict.unknown.push(unknown);
    // What follows from an undeclared name says nothing new.
    else if (!/expression in static assertion is not/.test(line)) throw new Error(messages);
  }
  return verdict;
}
