/**
 * Containers: what is known of them while they exist, running or not.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { checkIdentifier } from "../../api/identifier.ts";
import type { Labels } from "./label_refs.ts";
import type { Objects } from "./objects.ts";

/** A container as stored. Times are milliseconds since 1970. */
export interface ContainerInfo {
  readonly id: string;
  /** Name of the image that it was made from, where there is one. */
  readonly image?: string;
  readonly snapshotter?: string;
  /** Key of the active snapshot that is its root file system. */
  readonly snapshotKey?: string;
  /** Path of its `config.json`. */
  readonly specPath?: string;
  readonly created: number;
  readonly updated: number;
  readonly labels: Labels;
}

/** What the caller of {@link ContainerStore.create} decides. */
export interface NewContainer extends Omit<ContainerInfo, "created" | "updated" | "labels"> {
  readonly labels?: Labels;
  /** The lease that the container ends with: where its owner dies, `reapAbandoned` removes the container. */
  readonly lease?: string;
}

interface ContainerRow {
  id: string;
  image: string | null;
  snapshotter: string | null;
  snapshot_key: string | null;
  spec_path: string | null;
  created: number;
  updated: number;
}

const columns = "id, image, snapshotter, snapshot_key, spec_path, created, updated";

/** The containers of one namespace. A container keeps its snapshot alive, and itself until it is deleted. */
export class ContainerStore {
  constructor(readonly objects: Objects) {}

  /** Adds a container. Throws `AlreadyExists`, `InvalidArgument` for an id that is no identifier. */
  async create(container: NewContainer): Promise<void> {
    // One that ends with its owner does not outlive the power anyway.
    const durable = container.lease === undefined;
    await this.objects.database.transaction(() => this.createInside(container), { durable });
  }

  /** As {@link create}, inside a transaction of the caller's. */
  createInside(container: NewContainer): void {
    const { id, image, snapshotter, snapshotKey, specPath, labels = {}, lease } = container;
    checkIdentifier(id);
    const { database, namespace } = this.objects;
    this.objects.enterNamespace();
    const now = Date.now();
    const made = database.run(
      `INSERT OR IGNORE INTO containers (namespace, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      namespace,
      id,
      image ?? null,
      snapshotter ?? null,
      snapshotKey ?? null,
      specPath ?? null,
      now,
      now,
    );
    if (made === 0) {
      throw new Failure("AlreadyExists", `container "${id}" already exists: choose another name or remove it`);
    }
    this.objects.initLabels("container", id, labels);
    if (snapshotter !== undefined && snapshotKey !== undefined) {
      this.objects.link("container", id, "snapshot", `${snapshotter}/${snapshotKey}`, "rootfs");
    }
    this.objects.hold(lease, "container", id);
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
    this.objects.forget("container", id);
    return database.run("DELETE FROM containers WHERE namespace = ? AND id = ?", namespace, id) > 0;
  }

  /** The container, or undefined. */
  async find(id: string): Promise<ContainerInfo | undefined> {
    return await this.objects.database.read(() => this.findInside(id));
  }

  /** As {@link find}, inside `Database.read` or a transaction. */
  findInside(id: string): ContainerInfo | undefined {
    const { database, namespace } = this.objects;
    const row = database.get<ContainerRow>(
      `SELECT ${columns} FROM containers WHERE namespace = ? AND id = ?`,
      namespace,
      id,
    );
    return row === undefined ? undefined : this.#info(row);
  }

  /** The container. Throws `NotFound`. */
  async get(id: string): Promise<ContainerInfo> {
    const info = await this.find(id);
    if (info === undefined) throw missing(id);
    return info;
  }

  /** All containers, by id. */
  async list(): Promise<ContainerInfo[]> {
    const { database, namespace } = this.objects;
    const sql = `SELECT ${columns} FROM containers WHERE namespace = ? ORDER BY id`;
    return await database.read(() => database.all<ContainerRow>(sql, namespace).map((row) => this.#info(row)));
  }

  #info(row: ContainerRow): ContainerInfo {
    return {
      id: row.id,
      ...(row.image === null ? {} : { image: row.image }),
      ...(row.snapshotter === null ? {} : { snapshotter: row.snapshotter }),
      ...(row.snapshot_key === null ? {} : { snapshotKey: row.snapshot_key }),
      ...(row.spec_path === null ? {} : { specPath: row.spec_path }),
      created: row.created,
      updated: row.updated,
      labels: this.objects.labels("container", row.id),
    };
  }
}

function missing(id: string): Failure {
  return new Failure("NotFound", `container "${id}" does not exist`);
}
