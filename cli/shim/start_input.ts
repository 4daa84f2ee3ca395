/**
 * What `start` is told: by flags and environment, with the runtime options on standard input (containerd up to 2.2), or by
 * a protobuf message there (2.3).
 *
 * @module
 */
import { concatBytes } from "../../api/bytes.ts";
import { Failure } from "../../api/errors.ts";
import { parseStartInput } from "./parse_start_input.ts";
import type { FlagValues } from "../flags.ts";
import type { shimFlags } from "./flags.ts";

/** See the module. */
export interface StartInput {
  readonly namespace: string;
  readonly id: string;
  /** The daemon's gRPC address. */
  readonly address: string;
  readonly ttrpcAddress: string;
  readonly publishBinary: string;
  readonly debug: boolean;
  readonly socketDirectory?: string | undefined;
  /** The `shim_cgroup` of the runtime options; empty without one. */
  readonly shimCgroup: string;
  /** Text of the runtime options. */
  readonly optionsKey: string;
  /** The answer to this daemon. */
  readonly answer: (address: string) => string | Uint8Array;
}

const inputBytesMax = 10 << 20;

/** Reads all of it. Throws `InvalidArgument` for options of another runtime. */
export async function readStartInput(
  flags: FlagValues<typeof shimFlags>,
  environment: ReadonlyMap<string, string>,
): Promise<StartInput> {
  const plain: StartInput = {
    namespace: flags.namespace,
    id: flags.id,
    address: flags.address,
    ttrpcAddress: environment.get("TTRPC_ADDRESS") ?? "",
    publishBinary: flags.publishBinary,
    debug: flags.debug,
    shimCgroup: "",
    optionsKey: "",
    answer: (address) => address,
  };
  const bytes = readAll();
  if (bytes.length === 0) return plain;
  return await parseStartInput(plain, bytes);
}

/** All of standard input; nothing where it is a terminal, which nobody types options into. */
function readAll(): Uint8Array {
  if (Deno.stdin.isTerminal()) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const chunk = new Uint8Array(65_536);
    const count = Deno.stdin.readSync(chunk);
    if (count === null) break;
    length += count;
    if (length > inputBytesMax) throw new Failure("InvalidArgument", "more than 10 MiB on standard input");
    chunks.push(chunk.subarray(0, count));
  }
  return concatBytes(chunks);
}
