/**
 * `barge adopt`: takes over what a stock containerd knows, while it still runs.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { adopt, isAbsent } from "../../daemon/adopt/adopt.ts";
import { adoptedKinds, type Report } from "../../daemon/adopt/report.ts";
import { StockDaemon } from "../../daemon/adopt/stock_daemon.ts";
import { checkStock, openBesideStock } from "../../daemon/store.ts";
import { perform, type StoreCommand } from "./command.ts";
import { placeFlags } from "./place.ts";
import { renderTable } from "./table.ts";

const flags = {
  address: {
    kind: "value",
    short: "a",
    value: "SOCKET",
    help: "Socket of the stock containerd (default /run/containerd/containerd.sock)",
  },
  root: { kind: "value", value: "DIR", help: "Its root directory (default: what it says)" },
  namespace: {
    ...placeFlags.namespace,
    help: "Only this namespace (default: all); then files of blobs stay for the others, also when ours are gone",
  },
  json: placeFlags.json,
  "dry-run": { kind: "boolean", help: "Count what would be adopted, say what would not, and change nothing" },
} as const;

const command: StoreCommand<typeof flags> = {
  name: "adopt",
  flags,
  help: {
    usage: "barge adopt [flags]",
    description:
      "Takes over namespaces, content, snapshots, images, containers and leases of a stock containerd, which " +
      "has to be running. Files stay where they are. Stop it afterwards, and start barge's daemon on the same root.",
  },
  perform: async ({ address = "/run/containerd/containerd.sock", root, namespace, json, "dry-run": dryRun }) => {
    using interruption = new Interruption();
    const { signal } = interruption;
    using stock = new StockDaemon(address, signal);
    const place = await rootOf(stock, address, root);
    if (dryRun) checkStock(place);
    using stores = dryRun ? undefined : await openBesideStock(place, signal);
    const reports: Report[] = [];
    for await (const report of adopt({ stock, root: place, stores, namespace, signal })) reports.push(report);
    if (json) console.log(JSON.stringify({ root: place, dryRun, namespaces: reports.map(plain) }, null, 2));
    else console.log(render(place, reports, dryRun));
    const failures = reports.flatMap((report) => report.failures);
    for (const { namespace, kind, key, error } of failures) {
      const what = key === undefined ? `list of kind "${kind}"` : `${kind} "${key}"`;
      console.error(`barge adopt: ${what} in namespace "${namespace}": ${messageOf(error)}`);
    }
    return failures.length === 0 ? 0 : 1;
  },
};

/** SIGINT and SIGTERM as an abort signal, so that nothing of ours is left in the other daemon. */
class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #listeners = (["SIGINT", "SIGTERM"] as const).map((name) =>
    [name, () => this.#controller.abort(new Failure("Canceled", `interrupted by ${name}`))] as const
  );

  constructor() {
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
  }
}

/**
 * The root that was named, else what the daemon says. It answers in any case. Throws `Unavailable` where none does,
 * `FailedPrecondition` where it does not say.
 */
async function rootOf(stock: StockDaemon, address: string, named: string | undefined): Promise<string> {
  let root: string | undefined;
  try {
    root = await stock.root();
  } catch (error) {
    if (!isAbsent(error)) throw error;
    throw new Failure("Unavailable", `no containerd answers at "${address}": adoption asks it while it runs`, {
      cause: error,
    });
  }
  const place = named ?? root;
  if (place === undefined) throw new Failure("FailedPrecondition", "the daemon does not tell its root: use --root");
  return place;
}

const plain = ({ namespace, counts, kept, failures }: Report) => ({
  ...counts,
  kept,
  namespace,
  failures: failures.map(({ kind, key, error }) => ({
    kind,
    ...(key === undefined ? {} : { key }),
    error: messageOf(error),
  })),
});

function render(root: string, reports: readonly Report[], dryRun: boolean): string {
  const kinds = adoptedKinds.filter((kind) => kind !== "namespace");
  const rows = reports.map(({ namespace, counts, kept, failures }) => [
    namespace,
    ...kinds.map((kind) => String(counts[kind])),
    String(kept),
    String(failures.length),
  ]);
  const head = ["NAMESPACE", ...[...kinds, "newer here", "failed"].map((name) => ` ${name.toUpperCase()}`)];
  return `${root}: ${dryRun ? "would be adopted" : "adopted"}\n${renderTable(head, rows)}`;
}

/** Performs the command line; gives the exit code. */
export function main(args: string[]): Promise<number> {
  return perform(command, args);
}
