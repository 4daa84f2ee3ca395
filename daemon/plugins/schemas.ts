/**
 * What can be configured of each built-in plugin. Keys, defaults and meanings are containerd's.
 *
 * @module
 */
import { defaultPlaces, placesMax } from "../../shim/server/grouping.ts";
import type { PluginSchema, Schema } from "../config/schema.ts";

function schema<const S extends Schema>(uri: string, fields: S): PluginSchema<S> {
  return { uri: `io.containerd.${uri}`, fields };
}

/** GOARCH of this machine, as containerd writes platforms. */
const architecture = Deno.build.arch === "x86_64" ? "amd64" : "arm64";

const rootPath = {
  type: "string",
  default: "",
  about: "directory of the snapshots; empty: below the daemon's root",
} as const;
const uid = { type: "int", default: Deno.uid() ?? 0, min: 0, about: "owner of the socket" } as const;
const gid = { type: "int", default: Deno.gid() ?? 0, min: 0, about: "group of the socket" } as const;
/** 16 MiB, as containerd's clients have. */
const messageMax = { type: "int", default: 16_777_216, min: 0, max: 2 ** 31 - 1 } as const;
const limits = {
  max_recv_message_size: { ...messageMax, about: "largest message that is read, in bytes" },
  max_send_message_size: { ...messageMax, about: "largest message that is written, in bytes" },
} as const;

/** Metadata: what has a name. */
export const metadataSchema = schema("metadata.v1.bolt", {
  content_sharing_policy: {
    type: "string",
    default: "shared",
    choices: ["shared", "isolated"],
    about: "whether a namespace may use a blob that it has not written itself",
  },
  no_sync: { type: "bool", default: false, about: "do not wait for the disk: a crash of the host loses data" },
});

/** When garbage is collected. */
export const schedulerSchema = schema("gc.v1.scheduler", {
  pause_threshold: { type: "float", default: 0.02, about: "share of the time that collections may take, up to 0.5" },
  deletion_threshold: {
    type: "int",
    default: 0,
    about: "deletions that cause a collection; 0: a deletion alone does not",
  },
  mutation_threshold: { type: "int", default: 100, about: "changes after which the next deletion causes a collection" },
  schedule_delay: { type: "duration", default: "0s", about: "time from the cause to the collection" },
  startup_delay: { type: "duration", default: "100ms", about: "time from the start to the first collection" },
});

/** Shims: processes that hold containers. */
export const shimManagerSchema = schema("shim.v1.manager", {
  env: { type: "strings", default: [], about: "environment of shims, besides the daemon's" },
  socket_dir: { type: "string", default: "", about: "directory of the shims' sockets; at most 42 characters" },
  shim_group: {
    type: "string",
    default: "namespace",
    choices: ["namespace", "pod", "container"],
    about: "whose containers one of barge's own shims holds",
  },
  shim_places: {
    type: "int",
    default: defaultPlaces,
    min: 1,
    max: placesMax,
    about: "containers of one shim that holds those of a namespace; further ones are in another shim",
  },
  spare_shim: {
    type: "bool",
    default: true,
    about: "keep one shim of barge's own ahead for the next group of containers",
  },
});

/** The task runtime. */
export const runtimeSchema = schema("runtime.v2.task", {
  platforms: { type: "strings", default: [`linux/${architecture}`], about: "platforms that it runs" },
  dead_shim: {
    type: "string",
    default: "adopt",
    choices: ["adopt", "cleanup"],
    about:
      "what becomes of the containers of a shim of barge's own that died: another one takes them over, or they end",
  },
});

/** Metrics of containers. */
export const cgroupsMonitorSchema = schema("monitor.task.v1.cgroups", {
  no_prometheus: { type: "bool", default: false, about: "do not offer containers' metrics" },
});

/** Containers that are started again. */
export const restartMonitorSchema = schema("monitor.container.v1.restart", {
  interval: { type: "duration", default: "10s", about: "time between two looks at all containers" },
});

/** Differences of snapshots. */
export const diffServiceSchema = schema("service.v1.diff-service", {
  default: { type: "strings", default: ["walking"], about: "differs in the order in which they are tried" },
  sync_fs: { type: "bool", default: false, about: "wait for the disk after each layer" },
});

/** Tasks. */
export const tasksServiceSchema = schema("service.v1.tasks-service", {
  blockio_config_file: { type: "string", default: "", about: "classes of block I/O" },
  rdt_config_file: { type: "string", default: "", about: "classes of cache and memory bandwidth" },
});

/** Transfers: pull, push, import, export. */
export const transferSchema = schema("transfer.v1.local", {
  max_concurrent_downloads: {
    type: "int",
    default: 3,
    min: 0,
    max: 100,
    about: "layers that one pull fetches at once; 0: as many as by default",
  },
  concurrent_layer_fetch_buffer: {
    type: "int",
    default: 0,
    min: 0,
    about: "bytes of a parallel part; 0: one stream",
    ineffective: "each layer comes in one stream",
  },
  max_concurrent_uploaded_layers: {
    type: "int",
    default: 3,
    min: 0,
    about: "layers that one push sends at once",
    ineffective: "clients push by themselves",
  },
  max_concurrent_unpacks: {
    type: "int",
    default: 1,
    min: 0,
    about: "layers that one pull unpacks at once",
    ineffective: "layers are unpacked while they come",
  },
  check_platform_supported: { type: "bool", default: false, about: "refuse to unpack what this host cannot run" },
  config_path: { type: "string", default: "", about: "directories of registry hosts, with colons between them" },
  unpack_config: {
    type: "tables",
    about: "how images are unpacked, by platform",
    ineffective: "images are unpacked for the platform and by the snapshotter that the client names",
    fields: {
      platform: { type: "string", default: "", about: "the platform" },
      snapshotter: { type: "string", default: "", about: "the snapshotter" },
      differ: { type: "string", default: "", about: "the differ" },
      config_type: { type: "string", default: "", about: "media type of the image's configuration" },
      layer_types: { type: "strings", default: [], about: "media types of layers" },
      optional: { type: "bool", default: false, about: "go without where the snapshotter is missing" },
    },
  },
});

/** Programs that accept or reject images. */
export const imageVerifierSchema = schema("image-verifier.v1.bindir", {
  bin_dir: { type: "string", default: "/opt/containerd/image-verifier/bin", about: "directory of the programs" },
  max_verifiers: { type: "int", default: 10, about: "programs that are asked; negative: all" },
  per_verifier_timeout: { type: "duration", default: "10s", about: "time that one program may take" },
});

/** Snapshots as overlays. */
export const overlayfsSchema = schema("snapshotter.v1.overlayfs", {
  root_path: rootPath,
  upperdir_label: { type: "bool", default: false, about: "label snapshots with their upper directory" },
  sync_remove: { type: "bool", default: false, about: "remove directories at once, and not with the next collection" },
  slow_chown: {
    type: "bool",
    default: false,
    about: "copy files to change their owner where the kernel cannot map ids",
  },
  mount_options: { type: "strings", default: [], about: "options of each overlay" },
});

/** Snapshots as copies. */
export const nativeSchema = schema("snapshotter.v1.native", { root_path: rootPath });

/** Snapshots as subvolumes. */
export const btrfsSchema = schema("snapshotter.v1.btrfs", { root_path: rootPath });

/** Snapshots as datasets. */
export const zfsSchema = schema("snapshotter.v1.zfs", { root_path: rootPath });

/** Snapshots as thin volumes. */
export const devmapperSchema = schema("snapshotter.v1.devmapper", {
  root_path: rootPath,
  pool_name: { type: "string", default: "", about: "the thin pool" },
  base_image_size: { type: "string", default: "", about: "size of a new volume, such as 10GB" },
  async_remove: { type: "bool", default: false, about: "remove volumes with the next collection" },
  discard_blocks: { type: "bool", default: false, about: "give blocks back when a volume is removed" },
  fs_type: { type: "string", default: "", choices: ["ext4", "ext2", "xfs"], about: "file system of volumes" },
  fs_options: { type: "string", default: "", about: "options of its mkfs" },
});

/** Snapshots as image files. */
export const blockfileSchema = schema("snapshotter.v1.blockfile", {
  root_path: rootPath,
  scratch_file: { type: "string", default: "", about: "file system image that each first layer begins with" },
  fs_type: { type: "string", default: "", about: "file system of the image" },
  mount_options: { type: "strings", default: [], about: "options of each mount" },
  recreate_scratch: { type: "bool", default: false, about: "copy scratch_file again at each start" },
});

/** Snapshots as EROFS images under an overlay. */
export const erofsSchema = schema("snapshotter.v1.erofs", {
  root_path: rootPath,
  ovl_mount_options: { type: "strings", default: [], about: "options of each overlay" },
  enable_fsverity: { type: "bool", default: false, about: "let the kernel check layers" },
  set_immutable: { type: "bool", default: false, about: "mark layers as immutable" },
  default_size: { type: "string", default: "", about: "size of a writable layer's file system; empty: a directory" },
  dmverity_mode: { type: "string", default: "", about: "use of dm-verity" },
});

/** Layers as EROFS images. */
export const erofsDifferSchema = schema("differ.v1.erofs", {
  mkfs_options: { type: "strings", default: [], about: "options of mkfs.erofs" },
  enable_tar_index: { type: "bool", default: false, about: "index tar files instead of converting them" },
  enable_dmverity: { type: "bool", default: false, about: "add a dm-verity tree" },
});

/** Programs that come with images. */
export const optSchema = schema("internal.v1.opt", {
  path: { type: "string", default: "/opt/containerd", about: "directory whose bin and lib come first for the daemon" },
});

/** Metrics of calls. */
export const grpcMetricsSchema = schema("metrics.v1.grpc-prometheus", {
  grpc_histogram: { type: "bool", default: false, about: "measure how long calls take" },
});

/** The API's unix socket. */
export const grpcServerSchema = schema("server.v1.grpc", {
  address: { type: "string", default: "/run/containerd/containerd.sock", about: "path of the socket" },
  uid,
  gid,
  ...limits,
});

/** The API on TCP. */
export const tcpServerSchema = schema("server.v1.grpc-tcp", {
  address: { type: "string", default: "", about: "host and port; empty: not there" },
  tls_ca: { type: "string", default: "", about: "certificates of those who sign clients' certificates" },
  tls_cert: { type: "string", default: "", about: "the server's certificate" },
  tls_key: { type: "string", default: "", about: "its key" },
  tls_common_name: { type: "string", default: "", about: "name that clients' certificates must have" },
  ...limits,
});

/** The API for shims. */
export const ttrpcServerSchema = schema("server.v1.ttrpc", {
  address: {
    type: "string",
    default: "/run/containerd/containerd.sock.ttrpc",
    about: "path of the socket; empty: none",
  },
  uid,
  gid,
});

/** What developers look at. */
export const debugServerSchema = schema("server.v1.debug", {
  address: { type: "string", default: "", about: "path of the socket, or host and port; empty: not there" },
  uid: { ...uid, default: 0 },
  gid: { ...gid, default: 0 },
});

/** What Prometheus reads. */
export const metricsServerSchema = schema("server.v1.metrics", {
  address: { type: "string", default: "", about: "host and port; empty: not there" },
});

/** Plugins without settings: a section for one holds nothing that is known. */
const bare = [
  "content.v1.content",
  "event.v1.exchange",
  "lease.v1.manager",
  "streaming.v1.manager",
  "warning.v1.deprecations",
  "mount-handler.v1.erofs",
  "mount-manager.v1.bolt",
  "sandbox.store.v1.local",
  "sandbox.controller.v1.shim",
  "differ.v1.walking",
  ...["containers", "content", "images", "introspection", "namespaces", "snapshots"].map((name) =>
    `service.v1.${name}-service`
  ),
  ...[
    "containers",
    "content",
    "diff",
    "events",
    "healthcheck",
    "images",
    "introspection",
    "leases",
    "mounts",
    "namespaces",
    "sandbox-controllers",
    "sandboxes",
    "snapshots",
    "streaming",
    "tasks",
    "transfer",
    "version",
  ].map((name) => `grpc.v1.${name}`),
  "http.v1.pprof",
].map((uri) => schema(uri, {}));

/** All plugins that a configuration may name. */
export const pluginSchemas: readonly PluginSchema[] = [
  metadataSchema,
  schedulerSchema,
  shimManagerSchema,
  runtimeSchema,
  cgroupsMonitorSchema,
  restartMonitorSchema,
  diffServiceSchema,
  tasksServiceSchema,
  transferSchema,
  imageVerifierSchema,
  overlayfsSchema,
  nativeSchema,
  btrfsSchema,
  zfsSchema,
  devmapperSchema,
  blockfileSchema,
  erofsSchema,
  erofsDifferSchema,
  optSchema,
  grpcMetricsSchema,
  grpcServerSchema,
  tcpServerSchema,
  ttrpcServerSchema,
  debugServerSchema,
  metricsServerSchema,
  ...bare,
];

/** What containerd has or had and barge has not: sections for these stay as they are, for whoever reads them. */
export const foreignPlugins: ReadonlySet<string> = new Set([
  "cri.v1.images",
  "cri.v1.runtime",
  "grpc.v1.cri",
  "podsandbox.controller.v1.podsandbox",
  "nri.v1.nri",
  "tracing.processor.v1.otlp",
  "internal.v1.tracing",
  "ttrpc.v1.otelttrpc",
  "metrics.v1.grpc-otel",
  // Gone since containerd 2.0; generated configurations of 1.x hold them.
  "runtime.v1.linux",
  "snapshotter.v1.aufs",
].map((uri) => `io.containerd.${uri}`));
