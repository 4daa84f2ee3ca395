import { openStores } from "../store.ts";
import { contentSuite } from "./content_suite.ts";

contentSuite("ContentStore of openStores()", async () => {
  const directory = await Deno.makeTempDir({ prefix: "barge-content-" });
  const stores = await openStores(directory);
  return {
    of: (namespace) => stores.of(namespace).content,
    lease: async (id) => {
      const { leases } = stores.of("default");
      await leases.create(id);
      return () => leases.resources(id).map(({ kind, key }) => `${kind} ${key}`);
    },
    labelNamespace: async (namespace, label, value) => {
      const { objects } = stores.of(namespace);
      await stores.database.transaction(() => objects.addLabels("namespace", namespace, { [label]: value }));
    },
    async [Symbol.asyncDispose]() {
      stores.close();
      await Deno.remove(directory, { recursive: true });
    },
  };
});
