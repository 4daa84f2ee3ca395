/**
 * What the installed criu is, and can do with this kernel.
 *
 * @module
 */
import { Failure, messageOf } from "../../../api/errors.ts";
import { flags } from "../../../ffi/constants.ts";
import { openFile } from "../../../ffi/descriptor.ts";
import type { Reactor } from "../../../ffi/reactor.ts";
import { type Features, type Request, requestTypes, type Response } from "./messages.ts";
import { CriuSession } from "./session.ts";

/** criu is asked by itself, in a run of its own. */
async function askOnce(reactor: Reactor, program: string, alone: boolean, request: Request): Promise<Response> {
  using none = openFile("/dev/null", flags("O_RDWR"));
  const streams = { stdin: none.number, stdout: none.number, stderr: none.number };
  // Some versions take the end of the conversation for a failure.
  return await CriuSession.start(reactor, { program, streams, alone }).perform(() => request, { endsWell: false });
}

/**
 * The version as one number: 31701 is 3.17.1, and a development version counts as the next one's first. Throws in runc's
 * words where criu cannot be asked.
 */
export async function criuVersion(reactor: Reactor, program: string, alone: boolean): Promise<number> {
  try {
    const { version } = await askOnce(reactor, program, alone, { type: requestTypes.version });
    const { major = 0, minor = 0, sublevel = 0, commit = "" } = version ?? {};
    return major * 10_000 + (commit === "" ? minor * 100 + sublevel : (minor + 1) * 100);
  } catch (error) {
    throw new Failure("FailedPrecondition", `CRIU version check failed: ${messageOf(error)}`, { cause: error });
  }
}

/** Names of what is asked for, in runc's words. */
const names: Readonly<Record<keyof Features, string>> = { memoryTracking: "MemTrack", lazyPages: "LazyPages" };

/** Throws `FailedPrecondition` that names what criu, or the kernel, cannot do. */
export async function requireFeature(
  reactor: Reactor,
  program: string,
  alone: boolean,
  feature: keyof Features,
): Promise<void> {
  const request = { type: requestTypes.featureCheck, features: { [feature]: true } };
  let features: Features | undefined;
  try {
    ({ features } = await askOnce(reactor, program, alone, request));
  } catch (error) {
    throw new Failure("FailedPrecondition", `CRIU feature check failed: ${messageOf(error)}`, { cause: error });
  }
  if (features?.[feature] !== true) {
    throw new Failure("FailedPrecondition", `criu is missing features: [${names[feature]}]`);
  }
}
