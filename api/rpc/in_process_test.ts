import { deepEqual, equal, rejects } from "node:assert/strict";
import { NamespacesDefinition } from "../gen/services/namespaces/v1/namespace.ts";
import type { Namespace } from "../gen/services/namespaces/v1/namespace.ts";
import { Failure, isFailure } from "../errors.ts";
import type { CallContext } from "./context.ts";
import { leaseOf, namespaceOf } from "./context.ts";
import { type ServiceOf, ServiceTable } from "./definition.ts";
import { inProcess } from "./in_process.ts";

class Echo implements ServiceOf<typeof NamespacesDefinition> {
  readonly #namespace: Namespace = { name: "it", labels: {} };

  get(request: { name: string }) {
    if (request.name === "missing") return Promise.reject(new Failure("NotFound", "no"));
    return Promise.resolve({ namespace: this.#namespace });
  }
  list(_request: unknown, context: CallContext) {
    const name = `${namespaceOf(context)}+${leaseOf(context)}`;
    return Promise.resolve({ namespaces: [{ name, labels: {} }] });
  }
  create = () => Promise.resolve({ namespace: this.#namespace });
  update = () => Promise.resolve({ namespace: this.#namespace });
  delete = () => Promise.resolve({});
}

Deno.test("inProcess() calls the service with its own metadata and that of the call", async () => {
  const client = inProcess(NamespacesDefinition, new Echo(), { "containerd-namespace": "a" });
  const { namespaces } = await client.list({ filter: "" }, { metadata: { "containerd-lease": "l" } });
  deepEqual(namespaces.map(({ name }) => name), ["a+l"]);
  await rejects(client.get({ name: "missing" }), (error) => isFailure(error, "NotFound"));
});

Deno.test("namespaceOf() wants a namespace that is an identifier", async () => {
  const list = (namespace: string) =>
    inProcess(NamespacesDefinition, new Echo(), { "containerd-namespace": namespace }).list({ filter: "" });
  await rejects(list(""), (error) => isFailure(error, "FailedPrecondition"));
  await rejects(list("a b"), /namespace validation: identifier "a b" must match/);
});

Deno.test("ServiceTable binds methods under their names on the wire", async () => {
  const table = new ServiceTable().add(NamespacesDefinition, new Echo());
  const method = table.service("containerd.services.namespaces.v1.Namespaces")?.get("Get");
  equal((await method!.handler({ name: "x" }, {} as CallContext)).namespace.name, "it");
  equal(table.service("nothing"), undefined);
});
