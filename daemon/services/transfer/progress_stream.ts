/**
 * Progress of a transfer, on the stream that the client has opened for it.
 *
 * @module
 */
import { Any } from "../../../api/gen/google/protobuf/any.ts";
import { Progress } from "../../../api/gen/types/transfer/progress.ts";
import type { Descriptor } from "../../../api/oci/image_spec.ts";
import type { BlobProgress, LayerProgress, PullProgress, TreeProgress } from "../../images/progress.ts";
import { refKey } from "../../images/ref_key.ts";
import type { MessageStream } from "../../streams/message_stream.ts";

/** How often a blob's offset is told. */
const pauseMs = 300;

/** How long a client may take to read what is left at the end, as in containerd. */
const readMsMax = 10_000;

/** What has been told of a blob. Its line names it and its parents from the first event on. */
interface Line {
  readonly name: string;
  readonly parents: readonly string[];
  readonly desc: Descriptor;
  event: string;
  at: number;
  /** Its bytes are here, and the client knows. */
  complete: boolean;
}

type Message = Parameters<typeof Progress.fromPartial>[0];

/**
 * Tells what happens, in containerd's words; without a stream nothing. A client that does not listen any more is no
 * failure.
 */
export class ProgressStream {
  readonly #lines = new Map<string, Line>();
  /** Children by digest, with the name of the first parent; and the descriptors, which say what a layer is. */
  readonly #parents = new Map<string, { readonly parents: string[]; readonly descriptor: Descriptor }>();
  #sending: Promise<void> = Promise.resolve();

  constructor(private readonly stream: MessageStream | undefined) {}

  /** Tells one event about the whole, or about what `name` is. */
  tell(event: string, name = "", target?: Descriptor): void {
    this.#send({ event, name, ...(target === undefined ? {} : { desc: wireDescriptor(target) }) });
  }

  /** Tells of a part of the image that is pulled by the name `root`. */
  pulled(root: string, progress: PullProgress): void {
    switch (progress.kind) {
      case "tree":
        return this.#learn(progress);
      case "blob":
        return this.#blob(root, progress);
      case "layer":
        return this.#layer(root, progress);
      default:
        return;
    }
  }

  #learn({ parent, children }: TreeProgress): void {
    for (const descriptor of children) {
      const known = this.#parents.get(descriptor.digest);
      if (known === undefined) this.#parents.set(descriptor.digest, { parents: [refKey(parent)], descriptor });
      else if (!known.parents.includes(refKey(parent))) known.parents.push(refKey(parent));
    }
  }

  #blob(root: string, { descriptor, state, offset }: BlobProgress): void {
    const line = this.#line(root, descriptor);
    if (line.complete) return;
    if (state === "downloading") return this.#step(line, "downloading", offset);
    if (state === "waiting") return;
    line.complete = true;
    const { size } = descriptor;
    if (state === "done") return this.#step(line, "complete", size);
    this.#send({
      event: "already exists",
      name: line.name,
      progress: size,
      total: size,
      desc: wireDescriptor(descriptor),
    });
  }

  /** A layer that is unpacked while it comes; one that is unpacked already is heard of as a blob. */
  #layer(root: string, { digest, state, offset, total }: LayerProgress): void {
    const known = this.#parents.get(digest)?.descriptor;
    if (state === "exists" || known === undefined) return;
    const line = this.#line(root, known);
    if (state === "downloading") return this.#step(line, "downloading", offset);
    if (state === "waiting") return;
    if (!line.complete) {
      line.complete = true;
      this.#step(line, "complete", total);
    }
    this.#step(line, state === "done" ? "extracted" : "extracting", offset);
  }

  #line(root: string, descriptor: Descriptor): Line {
    const { digest, size } = descriptor;
    let line = this.#lines.get(digest);
    if (line === undefined) {
      const parents = this.#parents.get(digest)?.parents ?? [root];
      line = { name: refKey(descriptor), parents, desc: descriptor, event: "waiting", at: 0, complete: false };
      this.#lines.set(digest, line);
      this.#send({
        event: "waiting",
        name: line.name,
        parents: [...parents],
        total: size,
        desc: wireDescriptor(descriptor),
      });
    }
    return line;
  }

  #step(line: Line, event: string, progress: number): void {
    const now = performance.now();
    if (event === "downloading" && (progress === 0 || (line.event === event && now - line.at < pauseMs))) return;
    line.event = event;
    line.at = now;
    const { name, parents, desc } = line;
    this.#send({ event, name, parents: [...parents], progress, total: desc.size, desc: wireDescriptor(desc) });
  }

  #send(progress: Message): void {
    const { stream } = this;
    if (stream === undefined) return;
    const value = Progress.encode(Progress.fromPartial(progress)).finish();
    const message = Any.create({ typeUrl: "containerd.types.transfer.Progress", value });
    this.#sending = this.#sending.then(() => stream.send(message)).catch(() => {
      // The client has gone; the transfer is not about its listening.
    });
  }

  /** Ends the stream after everything was sent; a client that does not read it is not waited for without end. */
  async close(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, readMsMax);
    await Promise.race([this.#sending, late]);
    clearTimeout(timer);
    this.stream?.close();
  }
}

function wireDescriptor({ mediaType, digest, size, annotations }: Descriptor): NonNullable<Message["desc"]> {
  return { mediaType, digest, size, annotations: annotations ?? {} };
}
