/**
 * Publishing events by a program, for daemons without a ttrpc socket: `PROGRAM --address A publish --topic T --namespace N`
 * with the event on standard input.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import type { Publish } from "../../shim/server/event_queue.ts";
import { runProgram } from "../../shim/task/run_program.ts";

/** What all events have in common. */
export interface PublishProgram {
  readonly program: string;
  readonly address: string;
  readonly namespace: string;
}

/** See the module. */
export function publishByProgram({ program, address, namespace }: PublishProgram): Publish {
  return async ({ topic, event }, signal) => {
    const words = [program, "--address", address, "publish", "--topic", topic, "--namespace", namespace];
    const input = Any.encode(event ?? Any.create()).finish();
    const { code, output } = await runProgram({ words, input, signal });
    if (code !== 0) throw new Failure("Unknown", `${program} publish: exit status ${code}: ${output}`);
  };
}
