/**
 * What a lease holds, between the API's types and the store's kinds.
 *
 * @module
 */
import type { Resource } from "../../api/gen/services/leases/v1/leases.ts";
import { Failure } from "../../api/errors.ts";
import type { LeaseResource } from "../leases/lease_store.ts";
import { digestProblem } from "./image_message.ts";

/**
 * The store's name of a resource: types are `content`, `ingests`, `images` and `snapshots/<snapshotter>`. Throws
 * `InvalidArgument`, `NotImplemented` for other types, in containerd's words.
 */
export function leaseResource({ type, id }: Resource): LeaseResource {
  const [kind, ...rest] = type.split("/");
  const refuse = (text: string) => new Failure("InvalidArgument", text);
  switch (kind) {
    case "content": {
      if (rest.length > 0) throw refuse(`invalid resource type ${type}`);
      const problem = digestProblem(id);
      if (problem !== undefined) throw refuse(`invalid content resource id ${id}: ${problem}`);
      return { kind: "content", key: id };
    }
    case "ingests":
      if (rest.length > 0) throw refuse(`invalid resource type ${type}`);
      return { kind: "ingest", key: id };
    case "images":
      if (rest.length > 0) throw refuse(`invalid image resource type ${type}`);
      return { kind: "image", key: id };
    case "snapshots":
      if (rest.length !== 1) throw refuse(`invalid snapshot resource type ${type}`);
      return { kind: "snapshot", key: `${rest[0]}/${id}` };
    default:
      throw new Failure("NotImplemented", `resource type ${type} not supported yet`);
  }
}

/** Throws where a resource has no name, with the code and text of containerd's database. */
export function checkNamed({ type, id }: Resource): void {
  if (type === "snapshots/") throw new Failure("Unknown", "bucket name required");
  if (id === "") throw new Failure("Unknown", "key required");
}

/** A resource for the API; undefined for what it does not know, such as containers of one-shot runs. */
export function resourceMessage({ kind, key }: LeaseResource): Resource | undefined {
  switch (kind) {
    case "content":
      return { type: "content", id: key };
    case "ingest":
      return { type: "ingests", id: key };
    case "image":
      return { type: "images", id: key };
    case "snapshot": {
      const slash = key.indexOf("/");
      return { type: `snapshots/${key.slice(0, slash)}`, id: key.slice(slash + 1) };
    }
    default:
      return undefined;
  }
}
