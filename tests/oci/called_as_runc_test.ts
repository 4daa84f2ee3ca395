/**
 * What scripts and test suites look for in the texts of a program that is called `runc`; the peer has it too.
 *
 * @module
 */
import assert from "node:assert/strict";
import { barge, execute, succeed } from "../command.ts";
import { type Bundle, runtimeTest } from "../bundle.ts";
import type { Scratch } from "../scratch.ts";

/** The runtime by the name `runc`, with the state root of the test. */
async function byName({ runtime }: Bundle, scratch: Scratch): Promise<(...args: string[]) => string[]> {
  let program = "runc";
  if (runtime.name === "barge") {
    program = `${scratch.path}/runc`;
    await Deno.symlink(barge[0]!, program);
  }
  return (...args) => [program, "--root", runtime.stateRoot, ...args];
}

const commands =
  "checkpoint create delete events exec features kill list pause ps restore resume run spec start state " +
  "update";

runtimeTest("called as runc has its headings in every help text", async (bundle, _runtime, scratch) => {
  const runc = await byName(bundle, scratch);
  for (const words of [["-h"], ["--help"], ["help"], []]) {
    const text = await succeed(runc(...words));
    assert.match(text, /^NAME:\n {3}runc - Open Container Initiative runtime\n/, words.join(" "));
    for (const part of ["USAGE", "VERSION", "COMMANDS", "GLOBAL OPTIONS"]) assert(text.includes(`\n${part}:\n`), part);
    for (const command of commands.split(" ")) assert.match(text, new RegExp(`\n   ${command} +\\w`));
  }
  for (const command of commands.split(" ")) {
    for (const words of [[command, "-h"], [command, "--help"], ["help", command]]) {
      const text = await succeed(runc(...words));
      assert.match(text, new RegExp(`^NAME:\n   runc ${command} - \\w`), words.join(" "));
      assert(text.includes("\nUSAGE:\n   runc "), words.join(" "));
    }
  }
});

runtimeTest("called as runc says that there is no help topic", async (bundle, _runtime, scratch) => {
  const runc = await byName(bundle, scratch);
  for (const words of [["galaxy"], ["galaxy", "-h"], ["help", "galaxy"]]) {
    const { code, stderr } = await execute(runc(...words));
    assert.deepEqual([code, /No help topic for 'galaxy'/.test(stderr)], [3, true], words.join(" "));
  }
});

runtimeTest("called as runc shows the usage where arguments are missing", async (bundle, _runtime, scratch) => {
  const runc = await byName(bundle, scratch);
  for (const command of ["create", "delete", "exec", "state"]) {
    const { code, stdout, stderr } = await execute(runc(command));
    assert.equal(code, 1);
    assert.match(stdout, new RegExp(`^Incorrect Usage\\.\n\nNAME:\n   runc ${command} - `));
    assert.match(stderr, new RegExp(`runc: \\\\"${command}\\\\" requires `));
  }
});

runtimeTest("called as runc has a line for each version", async (bundle, _runtime, scratch) => {
  const runc = await byName(bundle, scratch);
  for (const flag of ["--version", "-v"]) {
    assert.match(await succeed(runc(flag)), /^runc version \d+\.\d+\.\d+\S*\ncommit: \S+\nspec: \d+\.\d+\.\d+\S*\n/);
  }
});

runtimeTest(
  "called as runc writes lines for --debug, into the log alone where there is one",
  async (bundle, runtime, scratch) => {
    const runc = await byName(bundle, scratch);
    await bundle.command("true");
    const words = ["nsexec container setup", "child process in init()", "init: closing the pipe to signal completion"];
    const id = scratch.id("c");
    const shown = await execute(runc("--debug", "run", "--bundle", bundle.path, id));
    assert.equal(shown.code, 0);
    assert.match(shown.stderr, /^time="?[^ ]+"? level=debug msg="/);
    for (const word of words) assert(shown.stderr.includes(word), word);
    const log = `${scratch.path}/log`;
    for (const format of ["text", "json"]) {
      const quiet = await execute(
        runc("--debug", "--log", log, "--log-format", format, "run", "--bundle", bundle.path, id),
      );
      assert.deepEqual([quiet.code, quiet.stderr], [0, ""]);
      const text = await Deno.readTextFile(log);
      for (const word of words) assert(text.includes(word), word);
      if (format === "json") assert.equal(JSON.parse(text.trim().split("\n").at(-1)!).level, "debug");
      await Deno.remove(log);
    }
    await bundle.command("sleep", "100");
    await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
    const inside = await execute(runc("--debug", "exec", id, "true"));
    for (const word of [...words.slice(0, 2), "setns_init: about to exec"]) assert(inside.stderr.includes(word), word);
    await runtime.succeed(["delete", "--force", id]);
  },
);
