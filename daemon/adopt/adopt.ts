/**
 * Taking over what a stock containerd knows, through its API while it still runs.
 *
 * Rows are written into our database beside it; blobs and snapshots stay where they lie. A second run takes over what
 * has changed since, and removes nothing: also not what a daemon of ours has changed later.
 *
 * @module
 */
import { isDigest } from "../../api/digest.ts";
import { Failure, isFailure } from "../../api/errors.ts";
import { checkIdentifier } from "../../api/identifier.ts";
import type { Container } from "../../api/gen/services/containers/v1/containers.ts";
import type { Info as ContentInfo } from "../../api/gen/services/content/v1/content.ts";
import type { Image } from "../../api/gen/services/images/v1/images.ts";
import type { Lease } from "../../api/gen/services/leases/v1/leases.ts";
import type { Namespace } from "../../api/gen/services/namespaces/v1/namespace.ts";
import { BlobFiles } from "../content/blob_files.ts";
import type { LeaseResource } from "../leases/lease_store.ts";
import { markForeign, takeForeign } from "../content/foreign_blobs.ts";
import { NamespaceStore } from "../metadata/namespace_store.ts";
import { bodyOf, checkContainer } from "../services/container_message.ts";
import { checkImage, completeImage, imageBody } from "../services/image_message.ts";
import { leaseResource } from "../services/lease_resource.ts";
import { storedLabels } from "../services/stored_labels.ts";
import type { Stores } from "../store.ts";
import { adoptSnapshots } from "./adopt_snapshots.ts";
import { Adoption, type Take } from "./adoption.ts";
import { readTime } from "./read_time.ts";
import { Report } from "./report.ts";
import type { StockSide, StockSnapshotter } from "./stock_daemon.ts";

/** What {@link adopt} needs. */
export interface AdoptOptions {
  readonly stock: StockSide;
  /** Its root. */
  readonly root: string;
  /** Of the same root. Without them it is counted what there is, and nothing changes on either side. */
  readonly stores?: Stores | undefined;
  /** Only this one. */
  readonly namespace?: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * Adopts one namespace after the other and gives what came of it. Throws where the daemon does not answer, `NotFound` where
 * it has no such namespace, and the signal's reason.
 */
export async function* adopt(options: AdoptOptions): AsyncGenerator<Report> {
  const { stock, root, stores, namespace: only, signal } = options;
  const namespaces = (await stock.namespaces()).filter(({ name }) => only === undefined || name === only);
  if (only !== undefined && namespaces.length === 0) {
    throw new Failure("NotFound", `the daemon has no namespace "${only}"`);
  }
  const snapshotters = await stock.snapshotters();
  const reports: Report[] = [];
  for (const namespace of namespaces) {
    const { name } = namespace;
    const report = new Report(name, signal);
    const adopted = await report.tell("namespace", name, () => {
      checkIdentifier(name);
      return Promise.resolve(new Adoption(stock, root, stores?.of(name), name, report));
    });
    if (adopted !== undefined) await adoptNamespace(adopted, namespace, snapshotters);
    reports.push(report);
    yield report;
  }
  if (stores !== undefined && only === undefined) await takeFiles(stores, reports);
}

/** Where every namespace has told its blobs and has rows for them, their files go with the last of these rows. */
async function takeFiles({ database }: Stores, reports: readonly Report[]): Promise<void> {
  const missed: string[] = [];
  for (const { kind, key } of reports.flatMap(({ failures }) => failures)) {
    if (kind === "namespace" || (kind === "content" && key === undefined)) return;
    if (kind === "content" && key !== undefined) missed.push(key);
  }
  await database.transaction(() => takeForeign(database, missed));
}

/** What is referred to comes before what refers to it. */
async function adoptNamespace(
  adoption: Adoption,
  { name, labels }: Namespace,
  snapshotters: readonly StockSnapshotter[],
): Promise<void> {
  const { stock, report, root } = adoption;
  await adoption.each("namespace", [name], (key) => key, () => ({ objects: { database } }) => {
    const namespaces = new NamespaceStore(database);
    if (!namespaces.insertInside(name, labels)) namespaces.setLabelsInside(name, labels);
    return true;
  });
  const files = new BlobFiles(`${root}/io.containerd.content.v1.content`);
  const blobs = await report.list("content", () => stock.content(name));
  await adoption.each("content", blobs, ({ digest }) => digest, (blob) => takeBlob(blob, files));
  await adoptSnapshots(adoption, snapshotters);
  const images = await report.list("image", () => stock.images(name));
  await adoption.each("image", images, (image) => image.name, takeImage);
  const containers = await report.list("container", () => stock.containers(name));
  await adoption.each("container", containers, ({ id }) => id, takeContainer);
  const leases = await report.list("lease", () => stock.leases(name));
  await adoption.each("lease", leases, ({ id }) => id, (lease) => takeLease(adoption, lease));
}

/** The file is nobody's to touch but the stock daemon's: what is wrong with it is said, and it stays. */
function takeBlob({ digest, size, labels, createdAt, updatedAt }: ContentInfo, files: BlobFiles): Take {
  if (!isDigest(digest)) throw new Failure("NotImplemented", "its digest is of a kind that barge does not store");
  const actual = files.size(digest);
  if (actual !== size) {
    throw new Failure(
      "DataLoss",
      actual === undefined ? "its file is missing" : `its file has ${actual} of ${size} bytes`,
    );
  }
  const [created, updated] = [readTime(createdAt), readTime(updatedAt)];
  return ({ content: { rows }, objects }) => {
    const { database, namespace } = objects;
    // It may be of other namespaces as well: at the end it is known whether all of them are ours.
    markForeign(database, digest);
    const known = rows.row(digest);
    if (known === undefined) rows.insert(digest, size);
    else if (known.size === size && known.updated > updated) return false;
    database.run(
      "UPDATE blobs SET size = ?, created = ?, updated = ? WHERE namespace = ? AND digest = ?",
      ...[size, created, updated, namespace, digest],
    );
    objects.setLabels("content", digest, storedLabels(labels));
    return true;
  };
}

function takeImage(image: Image): Take {
  const complete = completeImage(image);
  checkImage(complete);
  const body = imageBody(complete);
  const [created, updated] = [readTime(image.createdAt), readTime(image.updatedAt)];
  return ({ images }) => {
    const known = images.findInside(image.name);
    if (known === undefined) images.insertInside({ ...body, created });
    else if (known.updated > updated) return false;
    images.updateInside({ ...body, updated });
    return true;
  };
}

function takeContainer(container: Container): Take {
  checkContainer(container, "adopt");
  const body = bodyOf(container);
  const [created, updated] = [readTime(container.createdAt), readTime(container.updatedAt)];
  return ({ containers }) => {
    const known = containers.findInside(body.id);
    if (known !== undefined && known.updated > updated) return false;
    // Of one that was removed and made again over there, also what cannot change is another.
    // An earlier barge has kept whole milliseconds of its time.
    const isAnother = known !== undefined && Math.floor(known.created) !== Math.floor(created);
    if (isAnother) containers.deleteInside(body.id);
    containers.insertInside(body, created);
    containers.updateInside({ ...body, updated });
    return true;
  };
}

async function takeLease({ stock, namespace, report }: Adoption, lease: Lease): Promise<Take> {
  const { id, labels, createdAt } = lease;
  const resources: LeaseResource[] = [];
  for (const resource of await stock.resources(namespace, id)) {
    // It keeps what it can: without it, the next collection would take all.
    const known = await report.tell("lease", id, () => Promise.resolve(resource).then(leaseResource));
    if (known !== undefined) resources.push(known);
  }
  const kept = storedLabels(labels);
  return ({ leases, objects }) => {
    if (!leases.insertInside(id, { labels: kept, created: readTime(createdAt) })) {
      objects.setLabels("lease", id, kept);
    }
    for (const { kind, key } of resources) objects.hold(id, kind, key);
    return true;
  };
}

/** Whether the error means that nobody listens where the stock daemon should. */
export function isAbsent(error: unknown): boolean {
  return isFailure(error, "Unavailable");
}
