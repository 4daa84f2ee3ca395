import { deepEqual, equal, rejects } from "node:assert/strict";
import {
  ContainersDefinition,
  CreateContainerRequest,
  UpdateContainerRequest,
} from "../../api/gen/services/containers/v1/containers.ts";
import { CreateImageRequest, ImagesDefinition, UpdateImageRequest } from "../../api/gen/services/images/v1/images.ts";
import { LeasesDefinition } from "../../api/gen/services/leases/v1/leases.ts";
import { NamespacesDefinition } from "../../api/gen/services/namespaces/v1/namespace.ts";
import { type Code, isFailure } from "../../api/errors.ts";
import { ContainersService } from "./containers.ts";
import { ImagesService } from "./images.ts";
import { LeasesService } from "./leases.ts";
import { inByteOrder } from "./list_filter.ts";
import { NamespacesService } from "./namespaces.ts";
import { type Bench, clientOf, withBench } from "./service_fixture.ts";

const any = { typeUrl: "x/y", value: new Uint8Array([1, 2]) };
const digest = `sha256:${"a".repeat(64)}`;
const target = { mediaType: "m", digest, size: 5 };
const is = (code: Code, text: string) => (error: unknown) => isFailure(error, code) && error.message === text;

function clients(bench: Bench) {
  return {
    containers: clientOf(ContainersDefinition, new ContainersService(bench)),
    images: clientOf(ImagesDefinition, new ImagesService(bench)),
    leases: clientOf(LeasesDefinition, new LeasesService(bench)),
    namespaces: clientOf(NamespacesDefinition, new NamespacesService(bench)),
  };
}

const newContainer = (id: string, more: Parameters<typeof CreateContainerRequest.fromPartial>[0]["container"] = {}) =>
  CreateContainerRequest.fromPartial({ container: { id, runtime: { name: "r", options: any }, spec: any, ...more } });
const newImage = (name: string, labels: Record<string, string> = {}) =>
  CreateImageRequest.fromPartial({ image: { name, target, labels } });

Deno.test("ContainersService tells what it did, after it did it, and nothing where it failed", () =>
  withBench(async (bench) => {
    const { containers } = clients(bench);
    await containers.create(newContainer("c", { image: "i", labels: { e: "" } }));
    await rejects(containers.create(newContainer("c")), is("AlreadyExists", 'container "c"'));
    await containers.update(UpdateContainerRequest.fromPartial({
      container: { id: "c", labels: { a: "b" } },
      updateMask: ["labels"],
    }));
    await rejects(containers.update(UpdateContainerRequest.fromPartial({
      container: { id: "c", labels: { z: "z" } },
      updateMask: ["labels", "bogus"],
    })));
    await containers.delete({ id: "c" });
    await rejects(containers.delete({ id: "c" }), is("NotFound", "container c"));
    deepEqual(bench.published, [
      {
        namespace: "default",
        topic: "/containers/create",
        message: { id: "c", image: "i", runtime: { name: "r", options: any } },
      },
      {
        namespace: "default",
        topic: "/containers/update",
        message: { id: "c", image: "i", labels: { a: "b" }, snapshotKey: "" },
      },
      { namespace: "default", topic: "/containers/delete", message: { id: "c" } },
    ]);
  }));

Deno.test("ContainersService.listStream() gives one container a message, the same and in the same order as list()", () =>
  withBench(async (bench) => {
    const { containers } = clients(bench);
    for (let index = 0; index < 250; index++) {
      await containers.create(newContainer(`c${index}`, { labels: { even: String(index % 2 === 0) } }));
    }
    for (const filters of [[], ["labels.even==true"], ["id==c9", "id==c10"], ["id==c9,labels.even==true"]]) {
      const { containers: listed } = await containers.list({ filters });
      const streamed = await Array.fromAsync(containers.listStream({ filters }));
      deepEqual(streamed.map(({ container }) => container), listed);
      deepEqual(listed.map(({ id }) => id), listed.map(({ id }) => id).toSorted());
    }
    equal((await containers.list({ filters: ["labels.even==true"] })).containers.length, 125);
    const reason = new Error("gone");
    await rejects(containers.list({ filters: [] }, { signal: AbortSignal.abort(reason) }), reason);
  }));

Deno.test("ContainersService gives containers of one-shot runs a runtime message as well", () =>
  withBench(async (bench) => {
    await bench.stores.of("default").containers.create({ id: "one", specPath: "/x" });
    const { container } = await clients(bench).containers.get({ id: "one" });
    deepEqual([container?.runtime, container?.spec, container?.extensions], [
      { name: "", options: undefined },
      undefined,
      {},
    ]);
  }));

Deno.test("ImagesService keeps the time that it is told, in whole microseconds, and createdAt through updates", () =>
  withBench(async (bench) => {
    const { images } = clients(bench);
    const at = (seconds: number, nanos = 0) => ({ seconds, nanos });
    const created = await images.create({ ...newImage("i"), sourceDateEpoch: at(5, 7_654_321) });
    deepEqual([created.image?.createdAt, created.image?.updatedAt], [at(5, 7_654_000), at(5, 7_654_000)]);
    const image = { name: "i", target, labels: { a: "b" } };
    const updated = await images.update(UpdateImageRequest.fromPartial({ image, sourceDateEpoch: at(9) }));
    deepEqual([updated.image?.createdAt, updated.image?.updatedAt], [at(5, 7_654_000), at(9)]);
    deepEqual(await images.get({ name: "i" }), updated);
    const far = images.create({ ...newImage("j"), sourceDateEpoch: at(1e15) });
    await rejects(far, (error) => isFailure(error, "InvalidArgument"));
  }));

Deno.test("ImagesService deletes only the target that it is told, and waits for the collector where asked", () =>
  withBench(async (bench) => {
    const { images } = clients(bench);
    await images.create(newImage("i"));
    const other = `sha256:${"b".repeat(64)}`;
    const wrong = { name: "i", sync: true, target: { ...target, digest: other, annotations: {} } };
    await rejects(images.delete(wrong), is("NotFound", `image "i" has target ${digest}, not ${other}`));
    equal(bench.collections, 0);
    await images.delete({ name: "i", sync: true, target: { ...target, annotations: {} } });
    equal(bench.collections, 1);
    await images.create(newImage("i"));
    await images.delete({ name: "i", sync: false });
    equal(bench.collections, 1);
  }));

Deno.test("LeasesService makes ids up, waits for the collector where asked, and hides what the API does not know", () =>
  withBench(async (bench) => {
    const { leases } = clients(bench);
    const ids = new Set<string>();
    for (let count = 0; count < 20; count++) ids.add((await leases.create({ id: "", labels: {} })).lease!.id);
    equal(ids.size, 20);
    for (const id of ids) equal(/^\d{1,9}-[\w-]{4}$/.test(id), true, id);
    const [id] = ids;
    await leases.addResource({ id: id!, resource: { type: "images", id: "i" } });
    await bench.stores.database.transaction(() => bench.stores.of("default").objects.hold(id, "container", "c"));
    deepEqual((await leases.listResources({ id: id! })).resources, [{ type: "images", id: "i" }]);
    await leases.delete({ id: id!, sync: true });
    equal(bench.collections, 1);
    await rejects(leases.listResources({ id: id! }), is("NotFound", `lease "${id}"`));
    deepEqual(bench.published, []);
  }));

Deno.test("NamespacesService publishes in the namespace that it tells of, and needs none in the header", () =>
  withBench(async (bench) => {
    const namespace = { name: "n", labels: { a: "b" } };
    const { namespaces } = clients(bench);
    deepEqual(await namespaces.create({ namespace }), { namespace });
    await namespaces.update({ namespace: { name: "n", labels: { c: "d" } }, updateMask: ["labels.c", "labels.a"] });
    deepEqual(await namespaces.get({ name: "n" }), { namespace: { name: "n", labels: { c: "d" } } });
    await namespaces.delete({ name: "n" });
    deepEqual(bench.published.map(({ namespace, topic }) => [namespace, topic]), [
      ["n", "/namespaces/create"],
      ["n", "/namespaces/update"],
      ["n", "/namespaces/delete"],
    ]);
  }));

Deno.test("NamespacesService does not delete what has something in it, and says what", () =>
  withBench(async (bench) => {
    const { namespaces, images, containers, leases } = clients(bench);
    await leases.create({ id: "l", labels: {} });
    await images.create(newImage("i"));
    await containers.create(newContainer("c"));
    const text = (parts: string) => `namespace "default" must be empty, but it still has ${parts}`;
    const gone = () => namespaces.delete({ name: "default" });
    await rejects(gone(), is("FailedPrecondition", text("images, containers")));
    await images.delete({ name: "i", sync: false });
    await rejects(gone(), is("FailedPrecondition", text("containers")));
    await containers.delete({ id: "c" });
    await gone();
    await rejects(gone(), is("NotFound", 'namespace "default"'));
    deepEqual((await leases.list({ filters: [] })).leases, []);
  }));

Deno.test("ContainersService lets one of many have an id, and loses no label that many set at once", () =>
  withBench(async (bench) => {
    const { containers } = clients(bench);
    const outcomes = await Promise.allSettled(Array.from({ length: 64 }, () => containers.create(newContainer("c"))));
    equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") equal(isFailure(outcome.reason, "AlreadyExists"), true);
    }
    const keys = Array.from({ length: 64 }, (_, index) => `k${index}`);
    await Promise.all(keys.map((key) =>
      containers.update(UpdateContainerRequest.fromPartial({
        container: { id: "c", labels: { [key]: "set" } },
        updateMask: [`labels.${key}`],
      }))
    ));
    deepEqual(Object.keys((await containers.get({ id: "c" })).container!.labels).sort(), keys.toSorted());
    equal(bench.published.length, 65);
  }));

Deno.test("ImagesService refuses filters in containerd's words, and runs hostile ones without harm", () =>
  withBench(async (bench) => {
    const { images } = clients(bench);
    await images.create(newImage("i"));
    await rejects(
      images.list({ filters: ["name=="] }),
      (error) => isFailure(error, "InvalidArgument") && error.message.endsWith(": invalid argument: invalid argument"),
    );
    const names = async (...filters: string[]) => (await images.list({ filters })).images.map(({ name }) => name);
    deepEqual(await names("name~=(", "labels.constructor", "constructor", "target.toString"), []);
    deepEqual(await names("name==nope", ""), ["i"]);
  }));

Deno.test("inByteOrder() orders as the stores do, also where UTF-16 does not", () => {
  deepEqual(inByteOrder(["\u{1F600}", "\uFB00", "b", "ab", "a", ""]), ["", "a", "ab", "b", "\uFB00", "\u{1F600}"]);
});
