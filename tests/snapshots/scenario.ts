/**
 * One story told to a snapshots service, and what it answered: run on barge's and on stock containerd's, line by line
 * the same.
 *
 * @module
 */
import type { LeasesDefinition } from "../../api/gen/services/leases/v1/leases.ts";
import type { SnapshotsDefinition } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import {
  CommitSnapshotRequest,
  type Info,
  ListSnapshotsRequest,
  PrepareSnapshotRequest,
  UpdateSnapshotRequest,
  ViewSnapshotRequest,
} from "../../api/gen/services/snapshots/v1/snapshots.ts";
import type { ClientOf } from "../../api/rpc/definition.ts";
import { statusOf } from "../../api/rpc/status.ts";

/** Clients of the services that the story needs; both in one namespace. */
export interface Told {
  readonly snapshots: ClientOf<typeof SnapshotsDefinition>;
  readonly leases: ClientOf<typeof LeasesDefinition>;
  /** The directory in front of `/snapshots/`, which answers show as `DIR`. */
  readonly directory: string;
}

/** The label that names the committed snapshot which a prepare is for. */
const targetLabel = "containerd.io/snapshot.ref";

/** Tells the story to one snapshotter, and gives a line for each answer. Numbers of snapshots are shown as `N`. */
export async function tell({ snapshots, leases, directory }: Told, snapshotter: string): Promise<string[]> {
  const lines: string[] = [];
  const show = (text: string) =>
    // The length is 2.x's; 1.6 does not tell it.
    text.replaceAll(directory, "DIR").replace(/ length \(\d+ bytes\)/, "").replace(/snapshots\/\d+/g, "snapshots/N")
      .replace(/"[\w.-]+\/\d+\//g, '"NS/N/')
      .replace(/ [\w.-]+\/\d+\//g, " NS/N/");
  const step = async (name: string, act: () => Promise<unknown>) => {
    try {
      lines.push(`${name}: ${show(JSON.stringify(await act()))}`);
    } catch (error) {
      const { code, message } = statusOf(error);
      lines.push(`${name}: error ${code} ${show(message)}`);
    }
  };
  const lease = { metadata: { "containerd-lease": "l" } };
  const prepare = (key: string, parent = "", labels: Record<string, string> = {}, options = {}) =>
    step(`prepare ${key} on "${parent}"`, async () => {
      const request = PrepareSnapshotRequest.fromPartial({ snapshotter, key, parent, labels });
      return (await snapshots.prepare(request, options)).mounts.map(mountText);
    });
  const view = (key: string, parent = "") =>
    step(`view ${key} on "${parent}"`, async () => {
      return (await snapshots.view(ViewSnapshotRequest.fromPartial({ snapshotter, key, parent }))).mounts.map(
        mountText,
      );
    });
  const commit = (key: string, name: string, labels: Record<string, string> = {}, options = {}) =>
    step(
      `commit ${key} as ${name}`,
      () => snapshots.commit(CommitSnapshotRequest.fromPartial({ snapshotter, key, name, labels }), options),
    );
  const stat = (key: string) =>
    step(`stat ${key}`, async () => infoText((await snapshots.stat({ snapshotter, key })).info));
  const mounts = (key: string) =>
    step(`mounts ${key}`, async () => (await snapshots.mounts({ snapshotter, key })).mounts.map(mountText));
  const remove = (key: string) => step(`remove ${key}`, () => snapshots.remove({ snapshotter, key }));
  const update = (name: string, labels: Record<string, string>, updateMask?: string[]) =>
    step(`update ${name} ${JSON.stringify(labels)} by ${updateMask}`, async () => {
      const request = UpdateSnapshotRequest.fromPartial({ snapshotter, info: { name, labels } });
      return infoText((await snapshots.update({ ...request, updateMask })).info);
    });
  const list = (...filters: string[]) =>
    step(`list ${filters.join(" or ")}`, async () => {
      const infos: Info[] = [];
      const request = ListSnapshotsRequest.fromPartial({ snapshotter, filters });
      for await (const { info } of snapshots.list(request)) infos.push(...info);
      return infos.map(infoText);
    });
  const held = () =>
    step("lease holds", async () => {
      const { resources } = await leases.listResources({ id: "l" });
      return resources.map(({ type, id }) => `${type} ${id}`).sort();
    });
  const usage = (key: string) =>
    step(`usage ${key}`, async () => {
      const { size, inodes } = await snapshots.usage({ snapshotter, key });
      return { size: size > 0 ? "some" : "none", inodes };
    });

  await step("no snapshotter", () => snapshots.stat({ snapshotter: "", key: "a" }));
  await step("unknown snapshotter", () => snapshots.stat({ snapshotter: "nonesuch", key: "a" }));
  await step("unknown snapshotter, list", async () => {
    await Array.fromAsync(snapshots.list({ snapshotter: "nonesuch", filters: [] }));
  });
  await list();
  for (const act of [stat, mounts, usage, remove]) await act("none");
  await update("none", { a: "b" });
  await leases.create({ id: "l", labels: {} });

  await prepare("");
  await prepare("base-key", "", { a: "1", "containerd.io/snapshot/x": "2", empty: "" }, lease);
  await prepare("base-key");
  await view("base-key");
  await stat("base-key");
  await mounts("base-key");
  await usage("base-key");
  await held();
  await prepare("child", "none");
  await prepare("child", "base-key");
  await view("child", "none");
  await prepare("base-key", "none");
  await commit("base-key", "base-key");
  await commit("base-key", "");
  await commit("base-key", "base", { b: "1" }, lease);
  await held();
  await stat("base");
  await stat("base-key");
  await usage("base");
  await mounts("base");
  await commit("base", "again");
  await commit("missing", "base", {}, lease);
  await commit("missing", "other");

  await prepare("two-key", "base");
  await commit("two-key", "two");
  await view("view0");
  await view("view1", "base");
  await view("view2", "two");
  await mounts("view2");
  await usage("view2");
  await commit("view2", "from-view");
  await prepare("container", "two");
  await mounts("container");
  await prepare("on-view", "view1");
  await remove("base");
  await remove("two");

  await prepare("target", "", { [targetLabel]: "two" });
  await prepare("two", "none", { [targetLabel]: "two" });
  await prepare("fresh", "base", { [targetLabel]: "wanted", other: "x" });
  await stat("fresh");
  await prepare("long", "", { key: "v".repeat(4096) });
  await commit("fresh", "long", { key: "v".repeat(4096) });
  await stat("fresh");

  await update("", { a: "b" });
  await update("base", { a: "x", b: "y" });
  await update("base", { b: "" }, ["labels.b"]);
  await update("base", { c: "z", d: "ignored" }, ["labels.c"]);
  await update("base", { only: "this" }, ["labels"]);
  await update("base", {}, ["kind"]);
  await update("base", {}, ["labels.x", "parent"]);
  await update("base", {});
  await stat("base");
  await update("base", { "containerd.io/gc.root": "1", dotted: "1" });

  await list();
  await list("kind==committed");
  await list("kind==view", "kind==active");
  await list("name~=^t");
  await list("parent==two,kind==active");
  await list("labels.dotted");
  await list('labels."containerd.io/gc.root"==1');
  await list("nosuchfield==a");
  await list('parent==""');
  await list("parent");
  await list("kind==view,labels");
  await list("labels.nosuch");
  await list("kind=");
  await list("");
  await step("cleanup of nothing", () => snapshots.cleanup({ snapshotter: "nonesuch" }));

  for (const key of ["container", "view0", "view1", "view2", "fresh", "two", "base", "base"]) await remove(key);
  await list();
  await leases.delete({ id: "l", sync: false });
  return lines;
}

const kinds = ["unknown", "view", "active", "committed"];

function mountText({ type, source, target, options }: {
  type: string;
  source: string;
  target: string;
  options: readonly string[];
}): string {
  // containerd 1.6 puts the configured options first, 2.x last; which are there depends on the kernel alike.
  const own = options.filter((option) => option !== "index=off" && option !== "userxattr");
  const configured = options.filter((option) => !own.includes(option)).sort();
  return `${type} ${source} ${target} ${own.join(",")} + ${configured.join(",")}`;
}

function infoText(info: Info | undefined): string {
  if (info === undefined) return "nothing";
  const { name, parent, kind, labels, createdAt, updatedAt } = info;
  const sorted = Object.entries(labels).sort(([a], [b]) => a < b ? -1 : 1).map(([key, value]) => `${key}=${value}`);
  const isNew = (time?: { seconds: number }) => Math.abs((time?.seconds ?? 0) - Date.now() / 1000) < 600;
  const times = isNew(createdAt) && isNew(updatedAt) ? "new" : "old";
  return `${name} on "${parent}" ${kinds[kind]} ${sorted.join(" ").slice(0, 200)} ${times}`;
}
