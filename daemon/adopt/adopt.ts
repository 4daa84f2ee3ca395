/**
 * Taking over what a stock containerd knows, through its API while it still runs.
 *
 * Rows are written into our database beside it; blobs and snapshots stay where they lie. A second run takes over what
 * has changed since, and removes nothing.
 *
 * @module
 */
import { isDigest } from "../../api/digest.ts";
import { Failure, isFailure } from "../../api/errors.ts";
import { checkIdentifier } from "../../api/identifier.ts";
import type { Container } from "../../api/gen/services/containers/v1/containers.ts";
import type { Info as ContentInfo } from "../../api/gen/services/content/v1/content.ts";
import type { Image } from "../../api/gen/services/images/v1/images.ts";
import type { Lease, Resource } from "../../api/gen/services/leases/v1/leases.ts";
import type { Namespace } from "../../api/gen/services/namespaces/v1/namespace.ts";
import { NamespaceStore } from "../metadata/namespace_store.ts";
import { bodyOf } from "../services/container_message.ts";
import { checkImage, completeImage, imageBody } from "../services/image_message.ts";
import { leaseResource } from "../services/lease_resource.ts";
import { storedLabels } from "../services/stored_labels.ts";
import { adoptable } from "../snapshots/directory_number.ts";
import type { Store, Stores } from "../store.ts";
import { adoptSnapshots } from "./adopt_snapshots.ts";
import { readTime } from "./read_time.ts";
import { type AdoptedKind, Report } from "./report.ts";
import type { StockDaemon } from "./stock_daemon.ts";

/** What {@link adopt} needs. */
export interface AdoptOptions {
  readonly stock: StockDaemon;
  /** Of the stock daemon's root. Without them it is counted what there is, and nothing changes on either side. */
  readonly stores?: Stores | undefined;
  /** Only this one. */
  readonly namespace?: string | undefined;
  readonly signal: AbortSignal;
}

/** Adopts one namespace after the other and gives what came of it. Throws where the daemon does not answer. */
export async function* adopt(options: AdoptOptions): AsyncGenerator<Report> {
  const { stock, namespace: only, signal } = options;
  const namespaces = (await stock.namespaces()).filter(({ name }) => only === undefined || name === only);
  if (only !== undefined && namespaces.length === 0) {
    throw new Failure("NotFound", `the daemon has no namespace "${only}"`);
  }
  for (const namespace of namespaces) {
    const report = new Report(namespace.name, signal);
    await adoptNamespace(options, namespace, report);
    yield report;
  }
}

/** What is referred to comes before what refers to it. */
async function adoptNamespace(options: AdoptOptions, { name, labels }: Namespace, report: Report): Promise<void> {
  const { stock, stores } = options;
  checkIdentifier(name);
  const store = stores?.of(name);
  /** Without a store it counts. */
  const each = async <T>(
    kind: AdoptedKind,
    items: Iterable<T> | AsyncIterable<T>,
    keyOf: (item: T) => string,
    body: (store: Store, item: T) => Promise<void>,
  ) => {
    for await (const item of items) {
      if (store === undefined) report.count(kind);
      else await report.attempt(kind, keyOf(item), () => body(store, item));
    }
  };
  await each("namespace", [name], (key) => key, ({ objects: { database } }) =>
    database.transaction(() => {
      const namespaces = new NamespaceStore(database);
      if (!namespaces.insertInside(name, labels)) namespaces.setLabelsInside(name, labels);
    }));
  await each("content", stock.content(name), ({ digest }) => digest, adoptBlob);
  for (const snapshotter of adoptable) await adoptSnapshots({ stock, store, namespace: name, snapshotter, report });
  const [images, containers, leases] = [
    await stock.images(name),
    await stock.containers(name),
    await stock.leases(name),
  ];
  const inTransaction = <T>(body: (store: Store, item: T) => void) => (store: Store, item: T) =>
    store.objects.database.transaction(() => body(store, item));
  await each("image", images, (image) => image.name, inTransaction(adoptImage));
  await each("container", containers, ({ id }) => id, inTransaction(adoptContainer));
  await each("lease", leases, ({ id }) => id, async (store, lease) => {
    const resources = await stock.resources(name, lease.id);
    await store.objects.database.transaction(() => adoptLease(store, lease, resources));
  });
}

async function adoptBlob(store: Store, { digest, size, labels, createdAt, updatedAt }: ContentInfo): Promise<void> {
  if (!isDigest(digest)) throw new Failure("NotImplemented", "its digest is of a kind that barge does not store");
  const actual = store.content.files.size(digest);
  if (actual !== size) {
    throw new Failure(
      "DataLoss",
      actual === undefined ? "its file is missing" : `its file has ${actual} of ${size} bytes`,
    );
  }
  const { database, namespace } = store.objects;
  await database.transaction((undo) => {
    store.content.rows.claim(digest, { size }, undo);
    store.objects.setLabels("content", digest, storedLabels(labels));
    database.run(
      "UPDATE blobs SET created = ?, updated = ? WHERE namespace = ? AND digest = ?",
      ...[readTime(createdAt), readTime(updatedAt), namespace, digest],
    );
  });
}

function adoptImage(store: Store, image: Image): void {
  const complete = completeImage(image);
  checkImage(complete);
  const body = imageBody(complete);
  store.images.insertInside({ ...body, created: readTime(image.createdAt) });
  store.images.updateInside({ ...body, updated: readTime(image.updatedAt) });
}

function adoptContainer(store: Store, container: Container): void {
  const body = bodyOf(container);
  store.containers.insertInside(body, readTime(container.createdAt));
  store.containers.updateInside({ ...body, updated: readTime(container.updatedAt) });
}

function adoptLease(store: Store, { id, labels, createdAt }: Lease, resources: readonly Resource[]): void {
  const kept = storedLabels(labels);
  if (!store.leases.insertInside(id, { labels: kept, created: readTime(createdAt) })) {
    store.objects.setLabels("lease", id, kept);
  }
  for (const resource of resources) {
    const { kind, key } = leaseResource(resource);
    store.objects.hold(id, kind, key);
  }
}

/** Whether the error means that nobody listens where the stock daemon should. */
export function isAbsent(error: unknown): boolean {
  return isFailure(error, "Unavailable");
}
