/**
 * Starts containers inside a running process and times it: `worker.ts BUNDLE STATE_ROOT ID`. Each line on standard
 * input is a number of starts; each is answered by one line with their times in microseconds.
 *
 * Timed is what lies between the order and the command's execve; removal is not.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { waitForChild } from "../../ffi/process.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { createContainer } from "../../shim/oci/create.ts";
import { deleteContainer } from "../../shim/oci/delete.ts";
import { parseSpec } from "../../shim/oci/spec/parse.ts";

const [bundle, stateRoot, id] = Deno.args;
if (bundle === undefined || stateRoot === undefined || id === undefined) Deno.exit(2);
const spec = parseSpec(Deno.readTextFileSync(`${bundle}/config.json`));
const nothing = openFile("/dev/null", flags("O_RDWR")).number;
const reactor = new Reactor();

async function start(): Promise<number> {
  const begin = performance.now();
  const { launched, directory } = await createContainer(reactor, {
    stateRoot: stateRoot!,
    id: id!,
    spec,
    bundle: bundle!,
    root: { kind: "directory", path: `${bundle}/rootfs` },
    streams: { stdin: nothing, stdout: nothing, stderr: nothing },
    start: "at once",
    dieWithParent: false,
    alone: true,
  });
  const timeUs = (performance.now() - begin) * 1000;
  await waitForChild(reactor, launched.child.pidfd);
  launched.child.close();
  await deleteContainer(directory, { force: true });
  return timeUs;
}

const decoder = new TextDecoder();
for await (const chunk of Deno.stdin.readable) {
  for (const line of decoder.decode(chunk).trim().split("\n")) {
    const times: string[] = [];
    for (let count = Number(line); count > 0; count--) times.push((await start()).toFixed(1));
    console.log(times.join(" "));
  }
}
Deno.exit(0);
