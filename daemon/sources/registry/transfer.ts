/**
 * A blob's bytes as a stream that mends cut connections.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Descriptor } from "../../../api/oci/image_spec.ts";
import { type Exchange, LostConnection } from "./connection.ts";
import { shownUrl } from "./endpoint.ts";
import type { RegistryLimits } from "./limits.ts";

/** Asks for the blob's bytes from an offset on; the answer has status 200 or 206. */
export type Ask = (offset: number) => Promise<Exchange>;

/** This much progress makes a cut count as the first one again. */
const progressBytes = 1024 * 1024;

/** A running transfer: the connection, and how far it is. */
interface Position {
  exchange: Exchange;
  /** Bytes of the blob that the connection will still repeat, as it has no ranges. */
  skip: number;
}

/**
 * The blob's bytes from `offset` on, exactly up to the descriptor's size. A connection that is cut is replaced by
 * a Range request from where it broke, a few times; a stall, an abort, or more bytes than announced fail the
 * stream. `describe` completes a failure with the name of the image.
 */
export async function transfer(
  descriptor: Descriptor,
  offset: number,
  ask: Ask,
  limits: RegistryLimits,
  describe: (error: unknown) => unknown,
): Promise<ReadableStream<Uint8Array>> {
  let at = offset;
  let cuts = 0;
  let cutAt = offset;
  let position = await start(descriptor, at, ask);

  /** The next piece, at the right place; undefined at the blob's end. */
  const next = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      const piece = await position.exchange.next();
      if (piece === undefined) {
        if (at === descriptor.size) return undefined;
        throw new LostConnection("cut", position.exchange.url.host, `ended at byte ${at} of ${descriptor.size}`);
      }
      const skipped = Math.min(position.skip, piece.length);
      position.skip -= skipped;
      if (skipped === piece.length) continue;
      at += piece.length - skipped;
      if (at > descriptor.size) {
        throw new Failure(
          "DataLoss",
          `${shownUrl(position.exchange.url)} sends more than the ${descriptor.size} bytes of ${descriptor.digest}`,
        );
      }
      return piece.subarray(skipped);
    }
  };

  const mend = async (lost: LostConnection): Promise<void> => {
    position.exchange[Symbol.dispose]();
    cuts = at - cutAt >= progressBytes ? 1 : cuts + 1;
    cutAt = at;
    if (cuts > limits.resumesMax) {
      throw new Failure(
        "Unavailable",
        `the connection was cut ${cuts} times at byte ${at} of ${descriptor.size} of ${descriptor.digest} ` +
          `(${lost.message}): run the command again, it goes on there`,
        { cause: lost },
      );
    }
    position = await start(descriptor, at, ask);
  };

  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        for (;;) {
          try {
            const piece = await next();
            if (piece !== undefined) return controller.enqueue(piece);
            position.exchange[Symbol.dispose]();
            return controller.close();
          } catch (error) {
            if (!(error instanceof LostConnection) || error.kind !== "cut") throw error;
            await mend(error);
          }
        }
      } catch (error) {
        position.exchange[Symbol.dispose]();
        controller.error(describe(error));
      }
    },
    cancel() {
      position.exchange[Symbol.dispose]();
    },
  }, { highWaterMark: 0 });
}

/** Opens a connection at `at` and checks that the answer is about these bytes. */
async function start(descriptor: Descriptor, at: number, ask: Ask): Promise<Position> {
  const exchange = await ask(at);
  const range = /^bytes (\d+)-/.exec(exchange.headers.get("content-range") ?? "");
  const from = range === null ? (exchange.status === 206 ? at : 0) : Number(range[1]);
  const length = exchange.headers.get("content-length");
  const announced = length === null || !/^\d+$/.test(length) ? undefined : from + Number(length);
  const problem = from !== 0 && from !== at
    ? `answers with byte ${from} instead of byte ${at}`
    : announced !== undefined && announced !== descriptor.size
    ? `has ${announced} bytes instead of the manifest's ${descriptor.size}`
    : undefined;
  if (problem === undefined) return { exchange, skip: at - from };
  exchange[Symbol.dispose]();
  throw new Failure("DataLoss", `${descriptor.digest} at ${shownUrl(exchange.url)} ${problem}: push the image again`);
}
