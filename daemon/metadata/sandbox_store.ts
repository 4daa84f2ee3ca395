/**
 * Sandboxes: what is known of the places that containers share, such as pods.
 *
 * @module
 */
import { checkIdentifier } from "../../api/identifier.ts";
import type { Labels } from "./label_refs.ts";
import type { Objects } from "./objects.ts";
import { pagesOf, type PageSource } from "./pages.ts";

/** A sandbox as stored. Times are milliseconds since 1970; messages are kept in the wire form of the API. */
export interface SandboxInfo {
  readonly id: string;
  /** Name of the controller that runs it; may be empty. */
  readonly sandboxer: string;
  /** Name of the runtime. */
  readonly runtime: string;
  /** A `google.protobuf.Any`. */
  readonly runtimeOptions?: Uint8Array;
  /** A `google.protobuf.Any`. */
  readonly spec?: Uint8Array;
  /** A `containerd.types.Sandbox` with its extensions only. */
  readonly extensions?: Uint8Array;
  readonly created: number;
  readonly updated: number;
  readonly labels: Labels;
}

interface SandboxRow {
  id: string;
  sandboxer: string;
  runtime: string;
  runtime_options: Uint8Array | null;
  spec: Uint8Array | null;
  extensions: Uint8Array | null;
  created: number;
  updated: number;
}

const columns = "id, sandboxer, runtime, runtime_options, spec, extensions, created, updated";

const source: PageSource<SandboxRow, SandboxInfo> = {
  kind: "sandbox",
  sql: `SELECT ${columns} FROM sandboxes WHERE namespace = ? AND id > ? ORDER BY id LIMIT ?`,
  keyOf: ({ id }) => id,
  info: infoOf,
};

/**
 * The sandboxes of one namespace; each lives until it is deleted. What ends in `Inside` runs inside `Database.read` or a
 * transaction.
 */
export class SandboxStore {
  constructor(readonly objects: Objects) {}

  /** Adds a sandbox, and says whether the id was free. Throws `InvalidArgument` for an id that is no identifier. */
  insertInside(sandbox: Omit<SandboxInfo, "updated">): boolean {
    checkIdentifier(sandbox.id);
    const { database, namespace } = this.objects;
    this.objects.enterNamespace();
    const made = database.run(
      `INSERT OR IGNORE INTO sandboxes (namespace, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      namespace,
      sandbox.id,
      sandbox.sandboxer,
      sandbox.runtime,
      sandbox.runtimeOptions ?? null,
      sandbox.spec ?? null,
      sandbox.extensions ?? null,
      sandbox.created,
      sandbox.created,
    );
    if (made > 0) this.objects.initLabels("sandbox", sandbox.id, sandbox.labels);
    return made > 0;
  }

  /** Replaces what can change of a sandbox that exists: runtime, spec, extensions, labels. */
  updateInside(sandbox: Omit<SandboxInfo, "created" | "sandboxer">): void {
    const { database, namespace } = this.objects;
    database.run(
      "UPDATE sandboxes SET runtime = ?, runtime_options = ?, spec = ?, extensions = ?, updated = ? " +
        "WHERE namespace = ? AND id = ?",
      sandbox.runtime,
      sandbox.runtimeOptions ?? null,
      sandbox.spec ?? null,
      sandbox.extensions ?? null,
      sandbox.updated,
      namespace,
      sandbox.id,
    );
    this.objects.setLabels("sandbox", sandbox.id, sandbox.labels);
  }

  /** Removes a sandbox, and says whether there was one. */
  deleteInside(id: string): boolean {
    const { database, namespace } = this.objects;
    if (database.run("DELETE FROM sandboxes WHERE namespace = ? AND id = ?", namespace, id) === 0) return false;
    this.objects.forget("sandbox", id);
    return true;
  }

  /** The sandbox, or undefined. */
  findInside(id: string): SandboxInfo | undefined {
    const { database, namespace } = this.objects;
    const row = database.get<SandboxRow>(
      `SELECT ${columns} FROM sandboxes WHERE namespace = ? AND id = ?`,
      namespace,
      id,
    );
    return row === undefined ? undefined : infoOf(row, this.objects.labels("sandbox", id));
  }

  /** All sandboxes, by id, in pages. */
  pages(signal?: AbortSignal): AsyncGenerator<SandboxInfo[]> {
    return pagesOf(this.objects, source, signal);
  }
}

function infoOf(row: SandboxRow, labels: Labels): SandboxInfo {
  return {
    id: row.id,
    sandboxer: row.sandboxer,
    runtime: row.runtime,
    ...(row.runtime_options === null ? {} : { runtimeOptions: row.runtime_options }),
    ...(row.spec === null ? {} : { spec: row.spec }),
    ...(row.extensions === null ? {} : { extensions: row.extensions }),
    created: row.created,
    updated: row.updated,
    labels,
  };
}
