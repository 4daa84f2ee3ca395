/**
 * One stream of `Content.Write`: its messages, in containerd's protocol.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import {
  WriteAction,
  type WriteContentRequest,
  type WriteContentResponse,
} from "../../api/gen/services/content/v1/content.ts";
import { wireTime } from "../../api/timestamp.ts";
import { checkLabels } from "../metadata/label_refs.ts";
import type { SharingPolicy } from "../content/blob_rows.ts";
import type { ContentStore } from "../content/content_store.ts";
import { digestOf } from "./content_digest.ts";
import { type Committed, type ContentWriter, openWriter } from "../content/content_writer.ts";

/** How errors about labels of blobs begin. */
export const labelsPlace = "info.Labels: ";

/** What a session needs. */
export interface WriteSessionParts {
  readonly content: ContentStore;
  readonly lease: string | undefined;
  readonly policy: SharingPolicy;
  /** Called with each blob that was made. */
  readonly committed: (blob: Committed) => void;
}

/**
 * The state of a stream from its first message. What a message says of the total and the expected digest stays in force
 * for those that follow; so do fields of the response, as in containerd.
 */
export class WriteSession implements Disposable {
  readonly #parts: WriteSessionParts;
  readonly #writer: ContentWriter;
  #total: number;
  #expected: Digest | undefined;
  #busy = false;
  #disposed = false;
  #response: WriteContentResponse = {
    action: WriteAction.STAT,
    startedAt: undefined,
    updatedAt: undefined,
    offset: 0,
    total: 0,
    digest: "",
  };

  private constructor(parts: WriteSessionParts, writer: ContentWriter, first: WriteContentRequest) {
    this.#parts = parts;
    this.#writer = writer;
    this.#total = first.total;
    this.#expected = expectedOf(first);
  }

  /** Opens the writer that the first message asks for. It is to be given to {@link answer} as well. */
  static async open(parts: WriteSessionParts, first: WriteContentRequest): Promise<WriteSession> {
    if (first.ref === "") throw new Failure("InvalidArgument", "first message must have a reference");
    const { lease, policy } = parts;
    const options = { expected: expectedOf(first), total: Math.max(first.total, 0), lease, policy };
    return new WriteSession(parts, await openWriter(parts.content, first.ref, options), first);
  }

  /** Does what a message asks for. After a commit the stream is at its end. */
  async answer(request: WriteContentRequest): Promise<WriteContentResponse> {
    this.#busy = true;
    try {
      return await this.#answer(request);
    } finally {
      this.#busy = false;
      if (this.#disposed) this.#writer.close();
    }
  }

  async #answer(request: WriteContentRequest): Promise<WriteContentResponse> {
    const writer = this.#writer;
    const { action } = request;
    const { offset } = writer;
    this.#response = { ...this.#response, action, offset };
    if (request.expected !== "") await this.#expect(expectedOf(request)!);
    if (request.total > 0) this.#total = request.total;
    if (action === WriteAction.STAT) {
      const { started, updated } = writer.times();
      const times = { startedAt: wireTime(started), updatedAt: wireTime(updated) };
      this.#response = { ...this.#response, ...times, total: this.#total, digest: await writer.digest() };
    } else if (action === WriteAction.WRITE || action === WriteAction.COMMIT) {
      await this.#write(request, offset);
      const digest = action === WriteAction.COMMIT ? await this.#commit(request) : await writer.digest();
      this.#response = { ...this.#response, digest };
    }
    return this.#response;
  }

  /** Another may have made the blob since. */
  async #expect(expected: Digest): Promise<void> {
    const { content } = this.#parts;
    this.#expected = expected;
    const row = await content.objects.database.read(() => content.rows.row(expected));
    if (row === undefined || content.files.size(expected) !== row.size) return;
    this.#writer.close();
    await content.ingests.abort(this.#writer.ref);
    throw new Failure("AlreadyExists", `blob with expected digest ${expected} exists`);
  }

  async #write({ offset, data }: WriteContentRequest, current: number): Promise<void> {
    if (offset > 0 && offset !== current) {
      throw new Failure("OutOfRange", `write @${offset} must occur at current offset ${current}`);
    }
    if (offset <= 0 && current > 0) await this.#writer.truncate();
    if (data.length > 0) await this.#writer.write(data);
    this.#response = { ...this.#response, offset: this.#writer.offset };
  }

  async #commit({ labels }: WriteContentRequest): Promise<Digest> {
    checkLabels(labels, labelsPlace);
    const blob = await this.#writer.commit({ expected: this.#expected, total: Math.max(this.#total, 0), labels });
    this.#parts.committed(blob);
    return blob.digest;
  }

  /** Lets go of the ref as soon as the message under way is answered, and keeps the bytes. Can be called twice. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    if (!this.#busy) this.#writer.close();
  }
}

function expectedOf({ expected }: WriteContentRequest): Digest | undefined {
  return expected === "" ? undefined : digestOf(expected, () => `${JSON.stringify(expected)} failed validation`);
}
