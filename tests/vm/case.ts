/**
 * What a test in the virtual machine is.
 *
 * @module
 */
import { sourceRoot } from "../command.ts";
import type { Machine } from "./machine.ts";
import { denoDirectory, installedBarge } from "./program_disk.ts";

/** One test in the machine; it leaves the machine as it has found it, since the next one runs in the same. */
export interface Case {
  /** A sentence. */
  readonly name: string;
  run(machine: Machine): Promise<void>;
}

/** Result of one test of a file that ran in the machine. */
export interface GuestResult {
  readonly name: string;
  readonly ended: "passed" | "failed" | "ignored";
}

/** The results in TAP output of `deno test`; sub-tests, which are indented, are part of their test. */
export function tapResults(text: string): GuestResult[] {
  return [...text.matchAll(/^(not )?ok \d+ - (.*?)( # SKIP.*)?$/gm)].map(([, not, name, skip]) => ({
    name: name!,
    ended: skip !== undefined ? "ignored" : not === undefined ? "passed" : "failed",
  }));
}

/** How a file of the source tree is to be run in the machine. */
export interface FileRun {
  /** Path below the source tree. */
  readonly path: string;
  /** Only tests that this matches: a regular expression between slashes, as `deno test --filter` takes it. */
  readonly filter?: string;
  /** All of it may take that many seconds. */
  readonly seconds: number;
  /** At least so many tests must have run, so that a filter that matches nothing is no success. */
  readonly testsMin: number;
}

/** Runs a test file of the source tree inside the machine, against the barge that is installed there. */
export function fileCase({ path, filter, seconds, testsMin }: FileRun): Case {
  return {
    name: `${path} passes on cgroup version 2`,
    async run(machine) {
      const words = ["--no-check", "--cached-only", "--no-lock", "--reporter=tap", path];
      if (filter !== undefined) words.push(`--filter='${filter}'`);
      const script = `cd ${sourceRoot}; DENO_DIR=${denoDirectory} BARGE_TESTED=${installedBarge} deno test -A ${
        words.join(" ")
      }`;
      const { code, stdout, stderr } = await machine.execute(script, { seconds });
      const results = tapResults(stdout);
      const names = (ended: GuestResult["ended"]) => results.filter((result) => result.ended === ended);
      for (const { name } of names("ignored")) console.log(`ignored in the virtual machine: ${name}`);
      console.log(`${path}: ${names("passed").length} passed in the virtual machine`);
      if (code !== 0 || names("passed").length < testsMin) {
        const reason = code === 124 ? `not done after ${seconds} s` : `ended with ${code}`;
        throw new Error(`${path} ${reason}, ${names("passed").length} tests passed\n${stdout}${stderr}`);
      }
    },
  };
}
