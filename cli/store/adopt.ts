/**
 * `barge adopt`: takes over what a stock containerd knows, while it still runs.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { adopt, isAbsent } from "../../daemon/adopt/adopt.ts";
import { adoptedKinds, type Report } from "../../daemon/adopt/report.ts";
import { StockDaemon } from "../../daemon/adopt/stock_daemon.ts";
import { openBesideStock } from "../../daemon/store.ts";
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
  namespace: placeFlags.namespace,
  json: placeFlags.json,
  "dry-run": { kind: "boolean", help: "Count what would be adopted, and change nothing" },
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
    const signal = new AbortController().signal;
    using stock = new StockDaemon(address, signal);
    const place = root ?? await rootOf(stock, address);
    using stores = dryRun ? undefined : await openBesideStock(place, signal);
    const reports: Report[] = [];
    for await (const report of adopt({ stock, stores, namespace, signal })) reports.push(report);
    const failures = reports.flatMap((report) => report.failures);
    if (json) console.log(JSON.stringify({ root: place, dryRun, namespaces: reports.map(plain) }, null, 2));
    else console.log(render(place, reports, dryRun));
    for (const { namespace, kind, key, error } of failures) {
      console.error(`barge adopt: ${kind} "${key}" in namespace "${namespace}": ${messageOf(error)}`);
    }
    return failures.length === 0 ? 0 : 1;
  },
};

/** Throws `Unavailable` where no daemon answers, `FailedPrecondition` where it is one that keeps its root to itself. */
async function rootOf(stock: StockDaemon, address: string): Promise<string> {
  let root: string | undefined;
  try {
    root = await stock.root();
  } catch (error) {
    if (!isAbsent(error)) throw error;
    throw new Failure("Unavailable", `no containerd answers at "${address}": adoption asks it while it runs`, {
      cause: error,
    });
  }
  if (root === undefined) throw new Failure("FailedPrecondition", "the daemon does not tell its root: use --root");
  return root;
}

const plain = ({ namespace, counts, failures }: Report) => ({
  ...counts,
  namespace,
  failures: failures.map(({ kind, key, error }) => ({ kind, key, error: messageOf(error) })),
});

function render(root: string, reports: readonly Report[], dryRun: boolean): string {
  const kinds = adoptedKinds.filter((kind) => kind !== "namespace");
  const rows = reports.map(({ namespace, counts, failures }) => [
    namespace,
    ...kinds.map((kind) => String(counts[kind])),
    String(failures.length),
  ]);
  const head = ["NAMESPACE", ...kinds.map((kind) => ` ${kind.toUpperCase()}`), " FAILED"];
  return `${root}: ${dryRun ? "would be adopted" : "adopted"}\n${renderTable(head, rows)}`;
}

/** Performs the command line; gives the exit code. */
export function main(args: string[]): Promise<number> {
  return perform(command, args);
}
