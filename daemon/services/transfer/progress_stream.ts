/**
 * Progress of a transfer, on the stream that the client has opened for it.
 *
 * @module
 */
import { Any } from "../../../api/gen/google/protobuf/any.ts";
import { Progress } from "../../../api/gen/types/transfer/progress.ts";
import type { PullProgress } from "../../images/progress.ts";
import type { MessageStream } from "../../streams/message_stream.ts";

/** How often a blob's offset is told. */
const pauseMs = 300;

const words = {
  waiting: "waiting",
  downloading: "downloading",
  unpacking: "extracting",
  done: "complete",
  exists: "already exists",
} as const;

/** Tells what happens; without a stream nothing. A client that does not listen any more is no failure. */
export class ProgressStream {
  readonly #told = new Map<string, { state: string; at: number }>();
  #sending: Promise<void> = Promise.resolve();

  constructor(private readonly stream: MessageStream | undefined) {}

  /** Tells one event about the whole, or about what `name` is. */
  tell(event: string, name = ""): void {
    this.#send({ event, name });
  }

  /** Tells of a blob of the image, now and then. */
  blob(image: string, progress: PullProgress): void {
    if (progress.kind !== "layer") return;
    const { digest, state, offset, total } = progress;
    const told = this.#told.get(digest);
    const now = performance.now();
    if (told?.state === state && now - told.at < pauseMs) return;
    this.#told.set(digest, { state, at: now });
    const desc = { mediaType: "", digest, size: total };
    this.#send({ event: words[state], name: `layer-${digest}`, parents: [image], progress: offset, total, desc });
  }

  #send(progress: Parameters<typeof Progress.fromPartial>[0]): void {
    const { stream } = this;
    if (stream === undefined) return;
    const value = Progress.encode(Progress.fromPartial(progress)).finish();
    const message = Any.create({ typeUrl: "containerd.types.transfer.Progress", value });
    this.#sending = this.#sending.then(() => stream.send(message)).catch(() => {
      // The client has gone; the transfer is not about its listening.
    });
  }

  /** Ends the stream after everything was sent. */
  async close(): Promise<void> {
    await this.#sending;
    this.stream?.close();
  }
}
