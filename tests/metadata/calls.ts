/**
 * Calls of the services of records, as data: each is made of a stock daemon and of ours, one after another.
 *
 * @module
 */

/** The services that the calls are for. */
export type ServiceName = "containers" | "images" | "leases" | "namespaces";

/** One call. `{}` in a request stands for what protobuf has by default. */
export interface Call {
  readonly service: ServiceName;
  readonly method: string;
  readonly request: Readonly<Record<string, unknown>>;
  /** Default: the namespace `first`. */
  readonly namespace?: string;
  readonly lease?: string;
  /** Why ours answers differently from a containerd 1.6, and how: the code or `ok`, and a part of its text. */
  readonly differs?: { readonly why: string; readonly code: string; readonly text?: RegExp };
}

const any = { typeUrl: "x/y", value: new Uint8Array([1, 2]) };
const container = { id: "c1", runtime: { name: "r", options: any }, spec: any };
const digest = `sha256:${"a".repeat(64)}`;
const target = { mediaType: "m", digest, size: 5 };
const longLabel = { ["k".repeat(80)]: "v".repeat(4090) };
const newLabelText = {
  why: "containerd 2 tells the label's length, and more of its key",
  code: "InvalidArgument",
  text: /[Ll]abels: label key and value length \(\d+ bytes\) greater than maximum size \(4096 bytes\), key: [kq]+$/,
};
const lowerTarget = (text: RegExp) => ({
  why: "containerd 2 writes target with a small letter",
  code: "InvalidArgument",
  text,
});

type Rest = Omit<Call, "service" | "method" | "request">;

function callsOf(service: ServiceName, calls: readonly (readonly [string, Call["request"], Rest?])[]): Call[] {
  return calls.map(([method, request, rest]) => ({ service, method, request, ...rest }));
}

const containerMasks = [
  ["labels"],
  ["labels.a"],
  ["labels.q"],
  ["bogus"],
  ["extensions.zz"],
  ["extensions.x"],
  ["snapshotkey"],
  ["snapshot_key"],
  ["image"],
  ["labels.n", "bogus"],
  [""],
  ["labels."],
  ["spec"],
  ["constructor"],
];

const containers = callsOf("containers", [
  ["get", { id: "c1" }],
  ["get", { id: "" }],
  ["get", { id: "a b" }],
  ["list", {}],
  ["delete", { id: "c1" }],
  ["update", { container }],
  ["create", {}],
  ["create", { container: { ...container, id: "" } }],
  ["create", { container: { ...container, id: "a b" } }],
  ["create", { container: { ...container, extensions: { "": any } } }],
  ["create", { container: { ...container, labels: longLabel } }, { differs: newLabelText }],
  ["create", { container: { ...container, runtime: undefined } }],
  ["create", { container: { ...container, runtime: { name: "" } } }],
  ["create", { container: { ...container, spec: undefined } }],
  ["create", { container: { ...container, spec: undefined, labels: { a: "b" } } }],
  ["create", { container: { ...container, snapshotKey: "k" } }],
  ["create", { container: { id: "" } }],
  ["create", { container: { ...container, labels: { a: "b", e: "" }, extensions: { x: any }, image: "im" } }],
  ["create", { container }],
  ["create", { container: { ...container, id: "c0", snapshotter: "native", snapshotKey: "k", sandbox: "s" } }, {
    differs: { why: "containerd 1.6 has no sandboxes", code: "ok" },
  }],
  ["create", { container: { ...container, id: "Z9", labels: { "x.y/z": "1" } } }],
  ["get", { id: "c1" }],
  ["list", { filters: ["id==c1"] }],
  ["list", { filters: ["id==c1", "id==Z9", "id==nope"] }],
  ["list", { filters: ["labels.a==b"] }],
  ["list", { filters: ['labels."x.y/z"'] }],
  ["list", { filters: ["image"] }],
  ["list", { filters: ["runtime.name==r,id~=^c1"] }],
  ["list", { filters: ["runtime"] }],
  ["list", { filters: ["created_at"] }],
  ["list", { filters: ["id=="] }],
  ["list", { filters: ["$"] }],
  ["list", { filters: ["$"] }, { namespace: "" }],
  ...containerMasks.map((updateMask) =>
    [
      "update",
      { container: { id: "c1", labels: { n: "1" }, image: "new", spec: any, extensions: {} }, updateMask },
    ] as const
  ),
  ["update", { container: { id: "c1" }, updateMask: ["spec"] }],
  ["update", { container: { id: "c1", snapshotKey: "k" }, updateMask: ["snapshotkey"] }],
  ["update", { container }],
  ["update", { container: { ...container, runtime: { name: "z" } } }],
  ["update", { container: { ...container, snapshotter: "z" } }],
  ["update", { container: { ...container, runtime: undefined } }],
  ["update", { container: { ...container, id: "" } }],
  ["update", { container: { ...container, id: "nope" } }],
  ["update", { container: { ...container, id: "nope" }, updateMask: ["bogus"] }],
  ["update", { container: { ...container, image: "q" }, updateMask: [] }],
  ["delete", { id: "nope" }],
  ["delete", { id: "c1" }],
  ["delete", { id: "c1" }],
  ["delete", { id: "c0" }],
  ["delete", { id: "" }],
  ["list", {}, { namespace: "" }],
  ["list", {}, { namespace: "a b" }],
  ["create", { container: { id: "" } }, { namespace: "" }],
  ["update", { container: { id: "" } }, { namespace: "" }],
  ["create", { container: { ...container, id: "leased" } }, { lease: "no-lease" }],
]);

const bigTarget = { mediaType: "m2", digest, size: 9, annotations: { k: "v" } };
const imageMasks = [
  ["labels"],
  ["labels.q"],
  ["bogus"],
  ["annotations"],
  ["annotations.k"],
  ["annotations.z"],
  ["target"],
  ["target", "annotations.k"],
  ["target.digest"],
  ["toString"],
];

const images = callsOf("images", [
  ["get", { name: "x" }],
  ["get", { name: "" }],
  ["update", { image: { name: "x", target } }],
  ["delete", { name: "x" }],
  ["create", {}],
  ["create", { image: { name: "", target } }],
  ["create", { image: { name: "", target } }, { namespace: "" }],
  ["create", { image: { name: "x", target: { ...target, size: 0 } } }, { namespace: "" }],
  ["create", { image: { name: "x" } }, { differs: lowerTarget(/^target.Digest "" invalid: .* format$/) }],
  ["create", { image: { name: "x", target: { ...target, digest: "x" } } }, {
    differs: lowerTarget(/^target.Digest "x" invalid: invalid checksum digest format$/),
  }],
  ["create", { image: { name: "x", target: { ...target, digest: "sha256:abc" } } }, {
    differs: lowerTarget(/invalid checksum digest length$/),
  }],
  ["create", { image: { name: "x", target: { ...target, digest: "foo:abc" } } }, {
    differs: lowerTarget(/unsupported digest algorithm$/),
  }],
  ["create", { image: { name: "x", target: { ...target, digest: digest.toUpperCase() } } }, {
    differs: lowerTarget(/invalid checksum digest format$/),
  }],
  ["create", { image: { name: "x", target: { ...target, size: 0 } } }, {
    differs: lowerTarget(/^target.Size must be greater than zero$/),
  }],
  ["create", { image: { name: "x", target: { ...target, size: -1 } } }, {
    differs: lowerTarget(/^target.Size must be greater than zero$/),
  }],
  ["create", { image: { name: "x", target: { ...target, mediaType: "" } } }, {
    differs: lowerTarget(/^target.MediaType must be set$/),
  }],
  ["create", { image: { name: "x", target, labels: longLabel } }, { differs: newLabelText }],
  ["create", { image: { name: "x y", labels: { a: "b", e: "" }, target: { ...target, annotations: { z: "1" } } } }],
  ["create", { image: { name: "x y", target } }],
  ["create", { image: { name: "\u{1F600}", target } }],
  ["create", { image: { name: "\uFB00", target } }],
  ["create", { image: { name: "docker.io/a/b:c@sha256", target } }],
  ["get", { name: "x y" }],
  ["list", {}],
  ["list", { filters: [] }],
  ["list", { filters: [""] }],
  ["list", { filters: ["name~=x", "labels.a"] }],
  ["list", { filters: ["name!=x"] }],
  ["list", { filters: ['name=="\u{1F600}"', 'name=="\uFB00"', 'name=="x y"'] }],
  ["list", { filters: ["name==docker.io/a/b:c@sha256,labels.a"] }],
  ["list", { filters: [`target.digest==${digest},annotations.z==1`] }],
  ["list", { filters: ["target.mediatype==m"] }],
  ["list", { filters: ["target.size==5"] }],
  ["list", { filters: ["target"] }],
  ["list", { filters: ["name==,"] }],
  ...imageMasks.map((updateMask) =>
    ["update", { image: { name: "x y", labels: { n: "1" }, target: bigTarget }, updateMask }] as const
  ),
  ["update", { image: { name: "x y", target: { ...target, size: 0 } }, updateMask: ["target"] }, {
    differs: lowerTarget(/^target.Size must be greater than zero$/),
  }],
  ["update", { image: { name: "x y" }, updateMask: ["labels"] }],
  ["update", { image: { name: "x y", labels: { f: "1" }, target } }],
  ["update", { image: { name: "", target } }],
  ["update", { image: { name: "zz", target }, updateMask: ["bogus"] }],
  ["delete", { name: "x y", target: { ...target, digest: `sha256:${"b".repeat(64)}` } }, {
    differs: { why: "containerd 1.6 knows no target here", code: "NotFound", text: /^image "x y" has target/ },
  }],
  ["delete", { name: "x y", sync: true }, {
    differs: { why: "the call before deletes it from containerd 1.6", code: "ok" },
  }],
  ["delete", { name: "x y", sync: true }],
  ["delete", { name: "" }],
  ["delete", { name: "" }, { namespace: "" }],
  ["create", {
    image: { name: "leased", target, labels: { "containerd.io/gc.expire": "2100-01-01T00:00:00Z" } },
  }, {
    lease: "no-lease",
    differs: { why: "containerd 1.6 holds no images", code: "NotFound", text: /^lease does not exist$/ },
  }],
  ["create", { image: { name: "unleased", target } }, { lease: "no-lease" }],
  ["delete", { name: "unleased" }, { lease: "no-lease" }],
]);

const typesOfResources = [
  ["content", "x"],
  ["content", digest],
  ["content", digest],
  ["content/x", digest],
  ["content", "sha256:abc"],
  ["ingests", "r"],
  ["ingests/q", "r"],
  ["ingests", ""],
  ["snapshots", "k"],
  ["snapshots/overlayfs", "k"],
  ["snapshots/native/x", "k"],
  ["snapshots/", "k"],
  ["snapshots/native", ""],
  ["snapshots/native", "b"],
  ["snapshots/native", "a"],
  ["bogus", "b"],
  ["", ""],
] as const;
const lease = "L a/b";

const leases = callsOf("leases", [
  ["list", {}],
  ["listResources", { id: "L" }],
  ["addResource", { id: "L", resource: { id: digest, type: "content" } }],
  ["delete", { id: "L" }],
  ["create", { id: lease, labels: { e: "", x: "y" } }],
  ["create", { id: lease }],
  ["create", { id: "long", labels: longLabel }],
  ["create", {}, { namespace: "" }],
  ["delete", { id: "nope" }],
  ["delete", { id: "" }],
  ["addResource", { id: "nope", resource: { id: "x", type: "bogus" } }],
  ["addResource", { id: lease }],
  ...typesOfResources.map(([type, id]) => ["addResource", { id: lease, resource: { id, type } }] as const),
  ["listResources", { id: lease }],
  ["addResource", { id: lease, resource: { id: "im", type: "images" } }, {
    differs: { why: "containerd 1.6 holds no images", code: "ok" },
  }],
  ["deleteResource", { id: lease, resource: { id: "im", type: "images" } }, {
    differs: { why: "containerd 1.6 holds no images", code: "ok" },
  }],
  ["deleteResource", { id: lease, resource: { id: "q", type: "bogus" } }],
  ["deleteResource", { id: lease, resource: { id: "q", type: "ingests" } }],
  ["deleteResource", { id: lease, resource: { id: "", type: "ingests" } }],
  ["deleteResource", { id: lease, resource: { id: "q", type: "snapshots/zzz" } }],
  ["deleteResource", { id: lease, resource: { id: "k", type: "snapshots/overlayfs" } }],
  ["deleteResource", { id: "zz", resource: { id: "k", type: "snapshots/overlayfs" } }],
  ["listResources", { id: lease }],
  ["list", { filters: ["id==foo", "labels.x==y"] }],
  ["list", { filters: ["id==long"] }],
  ["list", { filters: ["$"] }],
  ["delete", { id: lease, sync: true }],
]);

const wellNamed = { why: "no namespace gets a name that calls cannot give", code: "InvalidArgument" };
const named = (name: string, labels: Readonly<Record<string, string>> = {}) => ({ namespace: { name, labels } });
const namespaces = callsOf("namespaces", [
  ["get", { name: "nope" }],
  ["get", { name: "a b" }],
  ["get", { name: "" }],
  ["create", named("second", { a: "b", e: "" })],
  ["get", { name: "second" }],
  ["create", named("second")],
  ["create", named("first")],
  ["create", named("a b")],
  ["create", named("")],
  ["create", {}],
  ["create", named("third", longLabel), { differs: newLabelText }],
  ["update", { ...named("second", { n: "1" }), updateMask: ["labels"] }],
  ["update", { ...named("second", { n: "1" }), updateMask: ["labels.n"] }],
  ["update", { ...named("second", { n: "1" }), updateMask: ["labels.a"] }],
  ["update", { ...named("second", { m: "1" }), updateMask: ["labels.m", "bogus"] }],
  ["get", { name: "second" }],
  ["update", named("second", { q: "1", e: "" })],
  ["update", named("second", { q: "1".repeat(5000) }), { differs: newLabelText }],
  ["get", { name: "second" }],
  ["update", named("fourth", { q: "1" })],
  ["update", { ...named("fifth", { q: "1" }), updateMask: ["bogus"] }],
  ["update", named("sixth")],
  ["update", named("a b"), { differs: wellNamed }],
  ["update", named(""), { differs: wellNamed }],
  ["list", {}],
  ["list", { filter: "name==x" }],
  ["delete", { name: "first" }],
  ["delete", { name: "second" }],
  ["delete", { name: "second" }],
  ["delete", { name: "" }],
]);

/** All calls, in their order: later ones meet what earlier ones made. */
export const calls: readonly Call[] = [...containers, ...images, ...leases, ...namespaces];
