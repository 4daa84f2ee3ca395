/**
 * `barge gc`: collects garbage now, or shows what would go and why.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import { connect, dialUnix } from "../../api/grpc/client.ts";
import { LeasesDefinition } from "../../api/gen/services/leases/v1/leases.ts";
import { collectOnce } from "../../daemon/gc/collector.ts";
import { referencesTo } from "../../daemon/gc/keepers.ts";
import { findDead } from "../../daemon/gc/mark.ts";
import type { DeadObject, Reader } from "../../daemon/gc/reader.ts";
import { ownStores } from "../../daemon/store.ts";
import { messageOf } from "../../api/errors.ts";
import { perform, type StoreCommand } from "./command.ts";
import { describe } from "./names.ts";
import { findRoot, placeFlags, readRoot } from "./place.ts";

const flags = {
  ...placeFlags,
  dryRun: { kind: "boolean", help: "Show what would be removed, and remove nothing" },
  explain: { kind: "boolean", help: "As --dry-run, with the reason why nothing keeps each object" },
  address: {
    kind: "value",
    short: "a",
    value: "SOCKET",
    default: "/run/containerd/containerd.sock",
    help: "Socket of the daemon that owns the root, where one runs",
  },
} as const;

/** A collection of millions of objects takes minutes; a daemon that takes longer hangs. */
const deadlineMs = 600_000;

const command: StoreCommand<typeof flags> = {
  name: "gc",
  flags,
  help: {
    usage: "barge gc [flags]",
    description: "Removes what nothing keeps. Where a daemon owns the root, that is asked to do it.",
  },
  perform: async ({ root, namespace, json, dryRun, explain, address }) => {
    const place = findRoot(root);
    if (dryRun || explain) {
      show(place, { namespace, json, explain });
      return 0;
    }
    if (namespace !== undefined) {
      throw new Failure("InvalidArgument", "a collection is of all namespaces: --namespace goes with --dry-run only");
    }
    const signal = AbortSignal.timeout(deadlineMs);
    let stores;
    try {
      stores = await ownStores(place, { signal });
    } catch (error) {
      if (!isFailure(error, "FailedPrecondition")) throw error;
      await askDaemon(address, error);
      console.log(json ? "{}" : `the daemon at ${address} has collected its garbage`);
      return 0;
    }
    using owned = stores;
    const { removed, failed } = await collectOnce(owned, undefined, signal);
    if (json) console.log(JSON.stringify({ removed, failed: failed.map(({ object }) => object) }, null, 2));
    else for (const object of removed) console.log(`removed ${describe(object)} of namespace "${object.namespace}"`);
    for (const { object, error } of failed) console.error(`barge gc: ${describe(object)}: ${messageOf(error)}`);
    return failed.length === 0 ? 0 : 1;
  },
};

/** As every client of containerd can: the deletion of a lease may wait for a collection. */
async function askDaemon(address: string, refusal: Failure): Promise<void> {
  using channel = connect({ open: dialUnix(address), metadata: { "containerd-namespace": "default" } });
  const leases = channel.client(LeasesDefinition);
  try {
    const { lease } = await leases.create({ id: "", labels: {} }, { timeoutMs: 10_000 });
    await leases.delete({ id: lease!.id, sync: true }, { timeoutMs: deadlineMs });
  } catch (error) {
    throw new Failure("Unavailable", `${refusal.message}; and the daemon at "${address}" says: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function show(
  root: string,
  { namespace, json, explain }: { namespace: string | undefined; json: boolean; explain: boolean },
): void {
  using reader = readRoot(root);
  const marks = findDead(reader, Date.now());
  const dead = marks.dead.filter((object) => namespace === undefined || object.namespace === namespace);
  if (json) {
    const objects = explain ? dead.map((object) => ({ ...object, reason: reasonOf(reader, object) })) : dead;
    console.log(JSON.stringify(objects, null, 2));
    return;
  }
  for (const object of dead) {
    const reason = explain ? `: ${reasonOf(reader, object)}` : "";
    console.log(`would remove ${describe(object)} of namespace "${object.namespace}"${reason}`);
  }
  console.log(dead.length === 0 ? "nothing to collect" : `${dead.length} ${dead.length === 1 ? "object" : "objects"}`);
}

function reasonOf(reader: Reader, object: DeadObject): string {
  if (object.kind === "lease") return "it has expired";
  const references = referencesTo(reader, object);
  if (references.length === 0) return object.kind === "image" ? "it has expired" : "nothing refers to it";
  const names = references.map(({ from }) => describe(from));
  return `only ${names.slice(0, 3).join(", ")}${names.length > 3 ? ", …" : ""} refers to it, which nothing keeps`;
}

/** Performs the command line; gives the exit code. */
export function main(args: string[]): Promise<number> {
  return perform(command, args);
}
