/**
 * Containers: what is known of them while they exist, running or not.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { checkIdentifier } from "../../api/identifier.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { Labels } from "./label_refs.ts";
import type { Objects } from "./objects.ts";
import { pagesOf, type PageSource } from "./pages.ts";

/** A container as it is looked for. Times are milliseconds since 1970. */
export interface ContainerSummary {
  readonly id: string;
  /** Name of the image that it was made from, where there is one. */
  readonly image?: string;
  readonly snapshotter?: string;
  /** Key of the active snapshot that is its root file system. */
  readonly snapshotKey?: string;
  /** Path of its `config.json`, of a one-shot run's container. */
  readonly specPath?: string;
  /** Name of the runtime; containers of one-shot runs have none. */
  readonly runtime?: string;
  /** Id of the sandbox that it is in. */
  readonly sandbox?: string;
  readonly created: number;
  readonly updated: number;
  readonly labels: Labels;
}

/** A container as stored. Messages are kept as they came, in the wire form of the API. */
export interface ContainerInfo extends ContainerSummary {
  /** A `google.protobuf.Any`. */
  readonly runtimeOptions?: Uint8Array;
  /** A `google.protobuf.Any`. */
  readonly spec?: Uint8Array;
  /** A `containerd.services.containers.v1.Container` with its extensions only. */
  readonly extensions?: Uint8Array;
}

/** What the caller of {@link ContainerStore.create} decides. */
export interface NewContainer extends Omit<ContainerInfo, "created" | "updated" | "labels"> {
  readonly labels?: Labels;
  /** The lease that the container ends with: where its owner dies, `reapAbandoned` removes the container. */
  readonly lease?: string;
}

interface SummaryRow {
  id: string;
  image: string | null;
  snapshotter: string | null;
  snapshot_key: string | null;
  spec_path: string | null;
  runtime: string | null;
  sandbox: string | null;
  created: number;
  updated: number;
}

interface BodyRow {
  runtime_options: Uint8Array | null;
  spec: Uint8Array | null;
  extensions: Uint8Array | null;
}

const summaryColumns = "id, image, snapshotter, snapshot_key, spec_path, runtime, sandbox, created, updated";
const bodyColumns = "runtime_options, spec, extensions";
const allColumns = `${summaryColumns}, ${bodyColumns}`;

function pageSql(columns: string): string {
  return `SELECT ${columns} FROM containers WHERE namespace = ? AND id > ? ORDER BY id LIMIT ?`;
}
const keyOf = ({ id }: SummaryRow) => id;
const summaries: PageSource<SummaryRow, ContainerSummary> = {
  kind: "container",
  sql: pageSql(summaryColumns),
  keyOf,
  info: summaryOf,
};
const whole: PageSource<SummaryRow & BodyRow, ContainerInfo> = {
  kind: "container",
  sql: pageSql(allColumns),
  keyOf,
  info: infoOf,
};

/** The containers of one namespace. A container keeps its snapshot alive, and itself until it is deleted. */
export class ContainerStore {
  constructor(readonly objects: Objects) {}

  /** Adds a container. Throws `AlreadyExists`, `InvalidArgument` for an id that is no identifier. */
  async create(container: NewContainer): Promise<void> {
    // One that ends with its owner does not outlive the power anyway.
    const durable = container.lease === undefined;
    await this.objects.database.transaction(() => {
      if (this.insertInside(container)) return;
      const message = `container "${container.id}" already exists: choose another name or remove it`;
      throw new Failure("AlreadyExists", message);
    }, { durable });
  }

  /**
   * As {@link create}, inside a transaction of the caller's; says whether the id was free. `created` is in milliseconds
   * since 1970.
   */
  insertInside(container: NewContainer, created = wallTimeMs()): boolean {
    const { id, lease } = container;
    checkIdentifier(id);
    const { database, namespace } = this.objects;
    this.objects.enterNamespace();
    const made = database.run(
      `INSERT OR IGNORE INTO containers (namespace, id, spec_path, runtime, sandbox, snapshotter, image, snapshot_key, ` +
        `${bodyColumns}, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      namespace,
      id,
      container.specPath ?? null,
      container.runtime ?? null,
      container.sandbox ?? null,
      container.snapshotter ?? null,
      container.image ?? null,
      container.snapshotKey ?? null,
      container.runtimeOptions ?? null,
      container.spec ?? null,
      container.extensions ?? null,
      created,
      created,
    );
    if (made === 0) return false;
    this.objects.initLabels("container", id, container.labels ?? {});
    this.#linkSnapshot(container);
    this.objects.hold(lease, "container", id);
    return true;
  }

  /**
   * Replaces what can change of a container that exists: image, snapshot key, spec, extensions, labels. Inside a
   * transaction of the caller's.
   */
  updateInside(container: Omit<ContainerInfo, "created">): void {
    const { id } = container;
    const { database, namespace } = this.objects;
    database.run(
      "UPDATE containers SET image = ?, snapshot_key = ?, spec = ?, extensions = ?, updated = ? " +
        "WHERE namespace = ? AND id = ?",
      container.image ?? null,
      container.snapshotKey ?? null,
      container.spec ?? null,
      container.extensions ?? null,
      container.updated,
      namespace,
      id,
    );
    this.objects.setLabels("container", id, container.labels);
    this.objects.unlink("container", id, "rootfs");
    this.#linkSnapshot(container);
  }

  #linkSnapshot({ id, snapshotter, snapshotKey }: Pick<ContainerInfo, "id" | "snapshotter" | "snapshotKey">): void {
    if (snapshotter === undefined || snapshotKey === undefined) return;
    this.objects.link("container", id, "snapshot", `${snapshotter}/${snapshotKey}`, "rootfs");
  }

  /** Removes a container and not its snapshot. Throws `NotFound`. */
  async delete(id: string): Promise<void> {
    await this.objects.database.transaction(() => {
      if (!this.deleteInside(id)) throw missing(id);
    });
  }

  /** As {@link delete}, inside a transaction of the caller's; says whether there was one. */
  deleteInside(id: string): boolean {
    const { database, namespace } = this.objects;
    if (database.run("DELETE FROM containers WHERE namespace = ? AND id = ?", namespace, id) === 0) return false;
    this.objects.forget("container", id);
    return true;
  }

  /** The container, or undefined. */
  async find(id: string): Promise<ContainerInfo | undefined> {
    return await this.objects.database.read(() => this.findInside(id));
  }

  /** As {@link find}, inside `Database.read` or a transaction. */
  findInside(id: string): ContainerInfo | undefined {
    const { database, namespace } = this.objects;
    const row = database.get<SummaryRow & BodyRow>(
      `SELECT ${allColumns} FROM containers WHERE namespace = ? AND id = ?`,
      namespace,
      id,
    );
    return row === undefined ? undefined : infoOf(row, this.objects.labels("container", id));
  }

  /** The container. Throws `NotFound`. */
  async get(id: string): Promise<ContainerInfo> {
    const info = await this.find(id);
    if (info === undefined) throw missing(id);
    return info;
  }

  /** All containers, by id, in pages. */
  pages(signal?: AbortSignal): AsyncGenerator<ContainerInfo[]> {
    return pagesOf(this.objects, whole, signal);
  }

  /** The containers that pass, by id, in pages. Specs of the others are not read. */
  async *pagesWhere(
    passes: (container: ContainerSummary) => boolean,
    signal?: AbortSignal,
  ): AsyncGenerator<ContainerInfo[]> {
    const { database } = this.objects;
    for await (const page of pagesOf(this.objects, summaries, signal)) {
      const kept = page.filter(passes);
      if (kept.length === 0) continue;
      // One that was deleted meanwhile is left out.
      yield await database.read(() => kept.map(({ id }) => this.findInside(id)).filter((info) => info !== undefined));
    }
  }

  /** All containers, by id. */
  async list(): Promise<ContainerInfo[]> {
    return (await Array.fromAsync(this.pages())).flat();
  }
}

function summaryOf(row: SummaryRow, labels: Labels): ContainerSummary {
  return {
    id: row.id,
    ...(row.image === null ? {} : { image: row.image }),
    ...(row.snapshotter === null ? {} : { snapshotter: row.snapshotter }),
    ...(row.snapshot_key === null ? {} : { snapshotKey: row.snapshot_key }),
    ...(row.spec_path === null ? {} : { specPath: row.spec_path }),
    ...(row.runtime === null ? {} : { runtime: row.runtime }),
    ...(row.sandbox === null ? {} : { sandbox: row.sandbox }),
    created: row.created,
    updated: row.updated,
    labels,
  };
}

function infoOf(row: SummaryRow & BodyRow, labels: Labels): ContainerInfo {
  return {
    ...summaryOf(row, labels),
    ...(row.runtime_options === null ? {} : { runtimeOptions: row.runtime_options }),
    ...(row.spec === null ? {} : { spec: row.spec }),
    ...(row.extensions === null ? {} : { extensions: row.extensions }),
  };
}

function missing(id: string): Failure {
  return new Failure("NotFound", `container "${id}" does not exist`);
}
