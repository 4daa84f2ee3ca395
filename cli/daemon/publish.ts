/**
 * `containerd publish`: publishes the event on standard input, for shims of daemons without a ttrpc socket.
 *
 * @module
 */
import { concatBytes } from "../../api/bytes.ts";
import { Failure, messageOf } from "../../api/errors.ts";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { EventsDefinition } from "../../api/gen/services/events/v1/events.ts";
import { connect, dialUnix } from "../../api/grpc/client.ts";
import { namespaceKey } from "../../api/rpc/context.ts";
import { renderHelp } from "../flag_help.ts";
import { type FlagTable, parseFlags } from "../flags.ts";

/** An event is small; this is the limit of what the daemon's socket takes. */
const eventBytesMax = 16 << 20;
/** How long the daemon may take. */
const answerMsMax = 30_000;

/** Where containerd listens, unless `--address` says otherwise. */
const usualAddress = "/run/containerd/containerd.sock";

const flags = {
  namespace: { kind: "value", value: "NAME", help: "Namespace to publish to" },
  topic: { kind: "value", value: "TOPIC", help: "Topic of the event" },
} as const satisfies FlagTable;

/** Publishes; gives the exit code. `args` begin after `publish`. Throws what keeps it from that. */
export async function publish(args: string[], address: string = usualAddress): Promise<number> {
  const { flags: { namespace = "", topic = "" }, args: [word], help } = parseFlags(flags, args, {
    interspersed: false,
    singleDashLong: true,
  });
  if (help) {
    const usage = "containerd [--address SOCKET] publish --namespace NAME --topic TOPIC";
    const description = "Publish the event on standard input, a serialized google.protobuf.Any.";
    console.log(renderHelp({ usage, description }, flags));
    return 0;
  }
  if (word !== undefined) throw new Failure("InvalidArgument", `publish takes no arguments, but there is "${word}"`);
  if (topic === "") throw new Failure("InvalidArgument", "publish: topic required to publish event: give --topic");
  const event = await readEvent();
  using channel = connect({ open: dialUnix(address), metadata: { [namespaceKey]: namespace } });
  try {
    await channel.client(EventsDefinition).publish({ topic, event }, { timeoutMs: answerMsMax });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(error.code, `publish to "${address}": ${error.message}`, { cause: error });
  }
  return 0;
}

async function readEvent(): Promise<Any> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of Deno.stdin.readable) {
    length += piece.length;
    if (length > eventBytesMax) {
      throw new Failure("InvalidArgument", `publish: the event has more than ${eventBytesMax} bytes`);
    }
    pieces.push(piece);
  }
  try {
    return Any.decode(concatBytes(pieces));
  } catch (error) {
    const message = `publish: standard input holds no google.protobuf.Any: ${messageOf(error)}`;
    throw new Failure("InvalidArgument", message, { cause: error });
  }
}
