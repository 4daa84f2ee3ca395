/**
 * What clients do with a daemon while it is killed, and what must be there afterwards.
 *
 * Each object has a state, a short text. Of a call that was answered the new state is known; of one that was not, it may
 * be the old or the new one. Nothing else may ever be found.
 *
 * @module
 */
import { isFailure } from "../../api/errors.ts";
import { Kind } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { digestOf } from "../content/content_client.ts";
import { containerOf, type DaemonClient, imageOf, kept } from "./daemon_client.ts";

/** The state of what does not exist. */
const absent = "absent";
const snapshotter = "overlayfs";

/** One step of an object's life. */
interface Action {
  readonly from: string | RegExp;
  /** The state that it leads to; `value` is a new one. */
  readonly to: (value: string) => string;
  readonly perform: (client: DaemonClient, key: string, value: string) => Promise<unknown>;
}

/** Bytes of the blob with that key: from none to 300 KiB, by the key. */
function bytesOfKey(key: string): Uint8Array {
  const number = Number(/\d+$/.exec(key)?.[0] ?? 0);
  return new Uint8Array(number * number % 300 << 10).fill(number);
}

/** The key has its namespace, so that no two namespaces share a blob. */
function blobOf(key: string): Uint8Array {
  const name = new TextEncoder().encode(key);
  const bytes = new Uint8Array(name.length + bytesOfKey(key).length);
  bytes.set(bytesOfKey(key), name.length);
  bytes.set(name);
  return bytes;
}

const exists = /^v/;
const updateMask = ["labels"];

/** What is done with objects of each kind. */
const actions: Readonly<Record<string, readonly Action[]>> = {
  image: [
    {
      from: absent,
      to: (value) => value,
      perform: async ({ images, content, namespace }, name, value) => {
        const digest = digestOf(blobOf(`${namespace} base`));
        await content.info({ digest });
        await images.create({ image: imageOf(name, digest, { value }), sourceDateEpoch: undefined });
      },
    },
    {
      from: exists,
      to: (value) => value,
      perform: ({ images }, name, value) =>
        images.update({ image: imageOf(name, "", { value }), updateMask, sourceDateEpoch: undefined }),
    },
    { from: exists, to: () => absent, perform: ({ images }, name) => images.delete({ name, sync: false }) },
  ],
  container: [
    {
      from: absent,
      to: (value) => value,
      perform: ({ containers }, id, value) => containers.create({ container: containerOf(id, { value }) }),
    },
    {
      from: exists,
      to: (value) => value,
      perform: ({ containers }, id, value) => containers.update({ container: containerOf(id, { value }), updateMask }),
    },
    { from: exists, to: () => absent, perform: ({ containers }, id) => containers.delete({ id }) },
  ],
  lease: [
    { from: absent, to: () => "v0", perform: ({ leases }, id) => leases.create({ id, labels: {} }) },
    {
      from: "v0",
      to: () => "v1",
      perform: ({ leases, namespace }, id) =>
        leases.addResource({ id, resource: { type: "content", id: digestOf(blobOf(`${namespace} base`)) } }),
    },
    {
      from: "v1",
      to: () => "v0",
      perform: ({ leases, namespace }, id) =>
        leases.deleteResource({ id, resource: { type: "content", id: digestOf(blobOf(`${namespace} base`)) } }),
    },
    { from: exists, to: () => absent, perform: ({ leases }, id) => leases.delete({ id, sync: false }) },
  ],
  content: [
    {
      from: absent,
      to: () => "vwhole",
      perform: (client, key) => client.putBlob(blobOf(`${client.namespace} ${key}`), key),
    },
    {
      from: exists,
      to: () => absent,
      perform: ({ content, namespace }, key) => content.delete({ digest: digestOf(blobOf(`${namespace} ${key}`)) }),
    },
  ],
  snapshot: [
    {
      from: absent,
      to: () => "vactive",
      perform: ({ snapshots }, key) => snapshots.prepare({ snapshotter, key, parent: "", labels: kept }),
    },
    {
      from: "vactive",
      to: () => "vcommitted",
      perform: ({ snapshots }, key) =>
        snapshots.commit({ snapshotter, key, name: `${key}-layer`, labels: kept, parent: "" }),
    },
    { from: "vactive", to: () => absent, perform: ({ snapshots }, key) => snapshots.remove({ snapshotter, key }) },
    {
      from: "vcommitted",
      to: () => absent,
      perform: ({ snapshots }, key) => snapshots.remove({ snapshotter, key: `${key}-layer` }),
    },
  ],
  namespace: [
    {
      from: absent,
      to: (value) => value,
      perform: ({ namespaces, namespace }, key, value) =>
        namespaces.create({ namespace: { name: `${namespace}-${key}`, labels: { value } } }),
    },
    {
      from: exists,
      to: (value) => value,
      perform: ({ namespaces, namespace }, key, value) =>
        namespaces.update({
          namespace: { name: `${namespace}-${key}`, labels: { value } },
          updateMask: ["labels.value"],
        }),
    },
    {
      from: exists,
      to: () => absent,
      perform: ({ namespaces, namespace }, key) => namespaces.delete({ name: `${namespace}-${key}` }),
    },
  ],
};

const kinds = Object.keys(actions);

/** One object, as far as its client knows. */
interface Known {
  /** As it was last answered. */
  state: string;
  /** What a call that was not answered may have made of it. */
  attempted?: { readonly state: string; readonly what: string };
}

/** One client's objects, over the lives of many daemons. */
export class Load {
  readonly #objects = new Map<string, Known>();
  #values = 0;
  /** Calls that were answered. */
  answered = 0;

  constructor(readonly namespace: string, private readonly random: () => number) {}

  /** Changes objects until the daemon is gone, at most so often. */
  async work(client: DaemonClient, stepsMax = Infinity): Promise<void> {
    try {
      await this.#putBase(client);
      for (let steps = 0; steps < stepsMax; steps++) await this.#step(client);
    } catch (error) {
      if (!isFailure(error, "Unavailable")) throw error;
    }
  }

  /** What images refer to. */
  async #putBase(client: DaemonClient): Promise<void> {
    try {
      await client.putBlob(blobOf(`${this.namespace} base`), "base");
    } catch (error) {
      if (!isFailure(error, "AlreadyExists")) throw error;
    }
  }

  async #step(client: DaemonClient): Promise<void> {
    const kind = kinds[Math.floor(this.random() * kinds.length)]!;
    const key = `${kind}${Math.floor(this.random() * 20)}`;
    let known = this.#objects.get(key);
    if (known === undefined) this.#objects.set(key, known = { state: absent });
    const { state } = known;
    const fitting = actions[kind]!.filter(({ from }) => typeof from === "string" ? from === state : from.test(state));
    const action = fitting[Math.floor(this.random() * fitting.length)]!;
    const value = `v${this.#values++}`;
    const next = action.to(value);
    const form = (text: string) => kind !== "lease" && /^v\d/.test(text) ? "some" : text;
    known.attempted = { state: next, what: `${kind} ${form(state)} to ${form(next)}` };
    await action.perform(client, key, value);
    known.state = next;
    delete known.attempted;
    this.answered++;
  }

  /** Compares with what a new daemon has. Gives what became of the call that the kill met; throws what is wrong. */
  async compare(client: DaemonClient): Promise<string[]> {
    const actual = await statesOf(client);
    const met: string[] = [];
    for (const [key, known] of this.#objects) {
      const found = actual.get(key) ?? absent;
      actual.delete(key);
      const { state, attempted } = known;
      if (found !== state && found !== attempted?.state) {
        const may = attempted === undefined ? state : `${state} or ${attempted.state}`;
        throw new Error(`${this.namespace} ${key} is ${found}, but should be ${may}`);
      }
      if (attempted !== undefined) met.push(`${attempted.what}: ${found === attempted.state ? "done" : "not done"}`);
      this.#objects.set(key, { state: found });
    }
    actual.delete("base");
    if (actual.size > 0) throw new Error(`${this.namespace} has ${[...actual.keys()].join(", ")}, which nobody made`);
    return met;
  }
}

/** The states of everything in the client's namespace, by key. Reads all blobs. */
async function statesOf(client: DaemonClient): Promise<Map<string, string>> {
  const { namespace } = client;
  const states = new Map<string, string>();
  const put = (key: string, state: string) => {
    if (states.has(key)) throw new Error(`${namespace} has ${key} twice`);
    states.set(key, state);
  };
  for (const { name, labels } of (await client.images.list({ filters: [] })).images) put(name, labels["value"]!);
  for (const { id, labels } of (await client.containers.list({ filters: [] })).containers) put(id, labels["value"]!);
  for (const { id } of (await client.leases.list({ filters: [] })).leases) {
    put(id, `v${(await client.leases.listResources({ id })).resources.length}`);
  }
  for (const { name, labels } of (await client.namespaces.list({ filter: "" })).namespaces) {
    if (name.startsWith(`${namespace}-`)) put(name.slice(namespace.length + 1), labels["value"]!);
  }
  for await (const { info } of client.snapshots.list({ snapshotter, filters: [] })) {
    for (const { name, kind } of info) {
      put(name.replace("-layer", ""), kind === Kind.COMMITTED ? "vcommitted" : "vactive");
    }
  }
  for await (const { info } of client.content.list({ filters: [] })) {
    for (const { digest } of info) await putBlobState(client, digest, put);
  }
  return states;
}

async function putBlobState(
  client: DaemonClient,
  digest: string,
  put: (key: string, state: string) => void,
): Promise<void> {
  const bytes = await client.getBlob(digest);
  if (digestOf(bytes) !== digest) throw new Error(`${client.namespace} has a half blob ${digest}`);
  const [, key] = /^\S+ (base|content\d+)/.exec(new TextDecoder().decode(bytes.subarray(0, 40))) ?? [];
  put(key!, "vwhole");
}
