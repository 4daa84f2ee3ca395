/**
 * `containerd.services.content.v1.Content`: blobs by digest, and writing them.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type {
  AbortRequest,
  ContentDefinition,
  DeleteContentRequest,
  Info,
  InfoRequest,
  InfoResponse,
  ListContentRequest,
  ListContentResponse,
  ListStatusesRequest,
  ListStatusesResponse,
  ReadContentRequest,
  ReadContentResponse,
  Status,
  StatusRequest,
  StatusResponse,
  UpdateRequest,
  UpdateResponse,
  WriteContentRequest,
  WriteContentResponse,
} from "../../api/gen/services/content/v1/content.ts";
import { WriteAction } from "../../api/gen/services/content/v1/content.ts";
import type { Empty } from "../../api/gen/google/protobuf/empty.ts";
import { type CallContext, leaseOf, namespaceOf } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { wireTime } from "../../api/timestamp.ts";
import { checkBlobFile, readBlob } from "../content/blob_reader.ts";
import type { BlobInfo, SharingPolicy } from "../content/blob_rows.ts";
import type { ContentStore } from "../content/content_store.ts";
import type { NamedIngestStatus } from "../content/ingests.ts";
import { compileFilters, type Matcher } from "../filters/compile.ts";
import { checkLabels } from "../metadata/label_refs.ts";
import type { Stores } from "../store.ts";
import { digestOf } from "./content_digest.ts";
import { nextOrAbort } from "./content_requests.ts";
import { StreamLimit } from "./content_stream_limit.ts";
import { labelsPlace, WriteSession } from "./content_write.ts";
import { eventKinds } from "./event_kinds.ts";
import { applyMask, labelPaths, type MaskTable } from "./field_mask.ts";
import { announce, type Publisher } from "./parts.ts";

/** What {@link ContentService} needs. */
export interface ContentParts {
  readonly stores: Stores;
  readonly events: Publisher;
  /** Whose blobs a namespace may take over without sending the bytes. Default: all others'. */
  readonly policy?: SharingPolicy;
  /** Streams of Read and Write at once; each has one or two files open. Default 512, half of the usual limit of files. */
  readonly streamsMax?: number;
}

const streamsMaxDefault = 512;
/** Blobs in one message of a list, as containerd sends them. */
const listBatchMax = 100;

const mask: MaskTable<BlobInfo> = {
  ...labelPaths,
  place: ({ digest }) => ` on content info "${digest}"`,
};

/** Blobs of the caller's namespace. */
export class ContentService implements ServiceOf<typeof ContentDefinition> {
  readonly #stores: Stores;
  readonly #events: Publisher;
  readonly #policy: SharingPolicy;
  readonly #streams: StreamLimit;

  constructor({ stores, events, policy = "shared", streamsMax = streamsMaxDefault }: ContentParts) {
    this.#stores = stores;
    this.#events = events;
    this.#policy = policy;
    this.#streams = new StreamLimit(streamsMax);
  }

  #content(context: CallContext): ContentStore {
    return this.#stores.of(namespaceOf(context)).content;
  }

  /** The blob, whose file is looked at too. */
  async info({ digest }: InfoRequest, context: CallContext): Promise<InfoResponse> {
    const valid = digestOf(digest, () => `${JSON.stringify(digest)} failed validation`);
    const content = this.#content(context);
    const info = await content.info(valid);
    checkBlobFile(content.files, info);
    return { info: wireInfo(info) };
  }

  /** Changes labels. */
  async update({ info, updateMask }: UpdateRequest, context: CallContext): Promise<UpdateResponse> {
    const digest = digestOf(info?.digest ?? "", () => `${JSON.stringify(info?.digest ?? "")} failed validation`);
    const labels = info?.labels ?? {};
    const paths = updateMask === undefined || updateMask.length === 0 ? ["labels"] : updateMask;
    const updated = await this.#content(context).update(digest, (stored) => {
      const changed = applyMask(mask, paths, stored, { ...stored, labels }).labels;
      checkLabels(changed, labelsPlace);
      return changed;
    });
    return { info: wireInfo(updated) };
  }

  /** The blobs that pass the filters, by digest. */
  async *list({ filters }: ListContentRequest, context: CallContext): AsyncGenerator<ListContentResponse> {
    const content = this.#content(context);
    const passes = compileFilters(filters);
    let batch: Info[] = [];
    for await (const page of content.pages(context.signal)) {
      for (const info of page) {
        if (filters.length > 0 && !matches(passes, info)) continue;
        batch.push(wireInfo(info));
        if (batch.length < listBatchMax) continue;
        yield { info: batch };
        batch = [];
      }
    }
    if (batch.length > 0) yield { info: batch };
  }

  /** Takes the blob from the namespace, and its file where no other has it. */
  async delete({ digest }: DeleteContentRequest, context: CallContext): Promise<Empty> {
    const valid = digestOf(digest, (problem) => problem);
    const content = this.#content(context);
    const { database } = content.objects;
    const clean = await database.transaction((undo) => content.deleteInside(valid, undo), { frees: true });
    announce(this.#events, namespaceOf(context), eventKinds.contentDelete, { digest });
    // It is gone for everybody, and the disk needs a tenth of a second for a large file. Where that fails the file stays in
    // the trash, which the next start empties.
    clean().catch(() => {});
    return {};
  }

  /** Bytes of a blob. Offsets of the answers count from the first byte that was asked for, as containerd's do. */
  async *read({ digest, offset, size }: ReadContentRequest, context: CallContext): AsyncGenerator<ReadContentResponse> {
    const valid = digestOf(digest, (problem) => `${digest}: ${problem}`);
    const content = this.#content(context);
    const row = await content.row(valid);
    const first = Math.max(offset, 0);
    const left = row.size - first;
    if (left <= 0) checkBlobFile(content.files, row);
    if (left < 0) throw new Failure("OutOfRange", `read past object length ${row.size} bytes`);
    const length = size <= 0 || size > left ? left : size;
    using place = this.#streams.take();
    // A caller that has gone may leave us at a `yield` for ever.
    context.signal.addEventListener("abort", () => place[Symbol.dispose](), { once: true });
    let sent = 0;
    for await (const data of readBlob(content.files, row, { offset: first, length }, context.signal)) {
      yield { offset: sent, data };
      sent += data.length;
    }
  }

  /** What is known of an unfinished write. */
  async status({ ref }: StatusRequest, context: CallContext): Promise<StatusResponse> {
    const status = await this.#content(context).ingests.status(ref);
    if (status === undefined) {
      throw new Failure("NotFound", `could not get status for ref ${JSON.stringify(ref)}: reference ${ref}`);
    }
    return { status: wireStatus(status) };
  }

  /** All unfinished writes that pass the filters. */
  async listStatuses({ filters }: ListStatusesRequest, context: CallContext): Promise<ListStatusesResponse> {
    const content = this.#content(context);
    const passes = compileFilters(filters);
    const statuses = await content.ingests.statuses((ref) =>
      passes((path) => path.length === 1 && path[0] === "ref" ? ref : undefined)
    );
    return { statuses: statuses.map(wireStatus) };
  }

  /** Writes a blob; see {@link WriteSession}. The last answer is given twice, as clients of containerd know it. */
  async *write(
    requests: AsyncIterable<WriteContentRequest>,
    context: CallContext,
  ): AsyncGenerator<WriteContentResponse> {
    const { signal } = context;
    const messages = requests[Symbol.asyncIterator]();
    const first = await nextOrAbort(messages, signal);
    // What a stream without any message ends with there.
    if (first === undefined) throw new Failure("Unknown", "EOF");
    const namespace = first.ref === "" ? "" : namespaceOf(context);
    using place = this.#streams.take();
    using session = await WriteSession.open({
      content: this.#stores.of(namespace).content,
      lease: leaseOf(context),
      policy: this.#policy,
      committed: (blob) => announce(this.#events, namespace, eventKinds.contentCreate, blob),
    }, first);
    // A caller that has gone may leave us at a `yield` for ever, and the next one wants to go on with the write.
    const release = () => {
      session[Symbol.dispose]();
      place[Symbol.dispose]();
    };
    signal.addEventListener("abort", release, { once: true });
    try {
      signal.throwIfAborted();
      for (let request: WriteContentRequest | undefined = first; request !== undefined;) {
        const response = await session.answer(request);
        signal.throwIfAborted();
        yield response;
        if (request.action !== WriteAction.COMMIT) request = await nextOrAbort(messages, signal);
        else request = undefined;
        if (request === undefined) yield response;
      }
    } finally {
      signal.removeEventListener("abort", release);
    }
  }

  /** Throws an unfinished write away. */
  async abort({ ref }: AbortRequest, context: CallContext): Promise<Empty> {
    await this.#content(context).ingests.abort(ref);
    return {};
  }
}

function matches(passes: Matcher, { digest, labels }: BlobInfo): boolean {
  return passes(([field, ...rest]) => {
    if (field === "digest" && rest.length === 0) return digest;
    if (field !== "labels") return undefined;
    const key = rest.join(".");
    return Object.hasOwn(labels, key) ? labels[key] : undefined;
  });
}

function wireInfo({ digest, size, created, updated, labels }: BlobInfo): Info {
  return { digest, size, createdAt: wireTime(created), updatedAt: wireTime(updated), labels: { ...labels } };
}

function wireStatus({ ref, offset, total, started, updated }: NamedIngestStatus): Status {
  return { ref, offset, total, startedAt: wireTime(started), updatedAt: wireTime(updated), expected: "" };
}
