/**
 * `deno task vm [-- COMMAND…]`: boots the tests' virtual machine, runs one command in it (or shell text from standard
 * input) for at most ten minutes, shows its output, and ends with its code. `barge`, `runc`, `crun`, `containerd` and
 * `ctr` are there, and the source tree below its usual path.
 *
 * @module
 */
import { bootMachine, shellText } from "./machine.ts";

async function main(args: readonly string[]): Promise<number> {
  const words = args[0] === "--" ? args.slice(1) : args;
  const script = words.length > 0 ? shellText(words) : await new Response(Deno.stdin.readable).text();
  await using machine = await bootMachine();
  const { code, stdout, stderr } = await machine.execute(script, { seconds: 600 });
  await Deno.stdout.write(new TextEncoder().encode(stdout));
  await Deno.stderr.write(new TextEncoder().encode(stderr));
  return code;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
