/**
 * The v2 shim's command line (`barge shim`, `containerd-shim-ts-v2`).
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import { version } from "../../api/version.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { type FlagValues, parseFlags } from "../flags.ts";
import { shimFlags } from "./flags.ts";

/** The word by which barge's daemon starts a shim ahead: ./spare.ts. */
const spareAction = "spare";

/** Performs one command line; gives the exit code. */
export async function main(args: string[]): Promise<number> {
  const called = readLaunch().argv0.split("/").at(-1) ?? "";
  // As a word of barge's own command line it is called by no shim's name.
  const name = called.startsWith("containerd-shim-") ? called : "containerd-shim-ts-v2";
  const write = (text: string | Uint8Array): void => {
    Deno.stdout.writeSync(typeof text === "string" ? new TextEncoder().encode(text) : text);
  };
  try {
    const { flags, args: [action] } = parseFlags(shimFlags, args, { interspersed: false, singleDashLong: true });
    if (flags.version) {
      write(`${name}:\n  Version:  ${version}\n  Revision: barge\n  Deno version: ${Deno.version.deno}\n\n`);
      return 0;
    }
    if (flags.info) {
      const { runtimeInfo } = await import("./info.ts");
      write(runtimeInfo(name));
      return 0;
    }
    if (flags.namespace === "" && action !== spareAction) throw new Error("shim namespace cannot be empty");
    return await perform(action, flags, write);
  } catch (error) {
    Deno.stderr.writeSync(new TextEncoder().encode(`${name}: ${messageOf(error)}\n`));
    return 1;
  }
}

async function perform(
  action: string | undefined,
  flags: FlagValues<typeof shimFlags>,
  write: (bytes: string | Uint8Array) => void,
): Promise<number> {
  switch (action) {
    case "start": {
      const { start } = await import("./start.ts");
      await start(flags, write);
      return 0;
    }
    case "delete": {
      const { deleteAction } = await import("./delete.ts");
      write(await deleteAction(flags));
      return 0;
    }
    case spareAction: {
      const { beSpare } = await import("./spare.ts");
      await beSpare(flags);
      return 0;
    }
    case undefined: {
      const { serveAction } = await import("./serve.ts");
      await serveAction(flags);
      return 0;
    }
    default:
      throw new Error(`unknown action ${JSON.stringify(action)}: want start, delete or none`);
  }
}
