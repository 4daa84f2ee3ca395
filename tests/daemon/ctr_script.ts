/**
 * A script of stock `ctr` commands for any daemon, as data: what is typed, and what of its output may be compared.
 *
 * @module
 */

/** What the script works on. */
export interface Supplies {
  /** `HOST:PORT` of a registry with `app:1` and `other:1`. */
  readonly registry: string;
  /** An archive with the image `docker.io/library/archived:latest`. */
  readonly archive: string;
  /** A file, and its digest. */
  readonly file: string;
  readonly fileDigest: string;
  /** A directory that is empty at the beginning. */
  readonly scratch: string;
  /** Digests of the app's manifest, config and layers, and its chain id. */
  readonly manifest: string;
  readonly layer: string;
  readonly chain: string;
}

/** One command. */
export interface Step {
  readonly args: readonly string[];
  /** Path of a file for standard input. */
  readonly stdin?: string;
  /** Which lines are compared; default: all. Progress is drawn over itself as often as there is time for. */
  readonly lines?: RegExp;
  /** Lines come in no particular order, such as labels from a map. */
  readonly unordered?: boolean;
  /** Words within a line come in no particular order. */
  readonly unorderedWords?: boolean;
}

const step = (...args: string[]): Step => ({ args });
const pulled = /^(unpacking|ctr:)/;

/** All commands of ctr that need no running task, the failing ways of using them included. */
export function ctrScript(s: Supplies): Step[] {
  const app = `${s.registry}/app:1`;
  const missing = `sha256:${"0".repeat(64)}`;
  return [
    ...namespaces(),
    step("images", "ls"),
    { args: ["images", "pull", "--plain-http", app], lines: pulled },
    { args: ["images", "pull", "--plain-http", `${s.registry}/nothing:1`], lines: pulled },
    ...images(s, app),
    ...content(s, missing),
    ...snapshots(s, missing),
    ...leases(missing),
    ...containers(app),
    ...tasks(),
    { args: ["images", "rm", "--sync", "archived", app, "docker.io/library/archived:latest"], lines: /./ },
    step("images", "ls", "-q"),
    step("content", "ls", "-q"),
    step("snapshots", "ls"),
  ];
}

function namespaces(): Step[] {
  return [
    step("namespaces", "ls"),
    step("namespaces", "create", "one", "a=b", "c=d"),
    step("namespaces", "create", "one"),
    step("namespaces", "create", "bad/name"),
    step("namespaces", "create", "x".repeat(77)),
    step("namespaces", "create", "two", `long=${"x".repeat(4096)}`),
    { args: ["namespaces", "ls"], unorderedWords: true },
    step("namespaces", "label", "one", "a=changed", "c="),
    step("namespaces", "label", "one", "=x"),
    step("namespaces", "create", "nameless", "=x"),
    { args: ["namespaces", "ls"], unorderedWords: true },
    step("namespaces", "ls", "-q"),
    step("-n", "made-by-use", "leases", "create", "--id", "x"),
    step("namespaces", "ls", "-q"),
    step("-n", "bad name", "images", "ls"),
    step("namespaces", "remove", "one"),
    step("namespaces", "remove", "one"),
    step("namespaces", "remove", "never-was"),
  ];
}

function images(s: Supplies, app: string): Step[] {
  return [
    step("images", "ls"),
    step("images", "ls", "-q"),
    step("images", "ls", "-q", `name==${app}`),
    step("images", "ls", "-q", "name==nothing"),
    step("images", "ls", "-q", "name~=app"),
    step("images", "ls", "-q", "name~=/app:[0-9]$/"),
    step("images", "ls", "-q", "name="),
    step("images", "ls", "-q", "name==a,"),
    step("images", "ls", "-q", 'labels."a'),
    step("images", "check"),
    step("images", "tag", app, "tagged:1"),
    step("images", "tag", app, "tagged:1"),
    step("images", "tag", "--force", app, "tagged:1"),
    step("images", "tag", "nothing", "tagged:2"),
    step("images", "label", app, "k=v"),
    step("images", "label", "nothing", "k=v"),
    step("images", "label", app, "=x"),
    step("images", "ls", `labels.k==v`),
    { args: ["images", "import", s.archive], lines: /./ },
    { args: ["images", "import", "--base-name", "archived", s.archive], lines: /./ },
    { args: ["images", "import", s.file], lines: /./ },
    step("images", "ls", "-q"),
    step("images", "export", `${s.scratch}/exported.tar`, app),
    step("images", "export", `${s.scratch}/nothing.tar`, "nothing"),
    step("images", "mount", app, s.scratch),
    step("images", "unmount", "--rm", s.scratch),
    step("images", "rm", "tagged:1"),
    step("images", "rm", "tagged:1"),
    step("-n", "other", "images", "ls"),
    { args: ["-n", "other", "images", "pull", "--plain-http", app], lines: pulled },
    step("-n", "other", "images", "ls", "-q"),
    step("namespaces", "remove", "other"),
  ];
}

function content(s: Supplies, missing: string): Step[] {
  return [
    { args: ["content", "ls"], unorderedWords: true },
    step("content", "ls", "-q"),
    { args: ["content", "ls", `digest==${s.layer}`], unorderedWords: true },
    step("content", "ls", "bad("),
    step("content", "get", s.manifest),
    step("content", "get", missing),
    step("content", "get", "nonsense"),
    { args: ["content", "ingest", "--expected-digest", s.fileDigest, "ref-1"], stdin: s.file },
    { args: ["content", "ingest", "--expected-digest", s.fileDigest, "ref-1"], stdin: s.file },
    { args: ["content", "ingest", "--expected-digest", missing, "ref-2"], stdin: s.file },
    { args: ["content", "ingest", "--expected-size", "3", "ref-3"], stdin: s.file },
    { args: ["content", "active"], unordered: true },
    step("content", "get", s.fileDigest),
    { args: ["content", "label", s.fileDigest, "colour=blue"], unorderedWords: true },
    { args: ["content", "label", s.fileDigest, "colour="], unorderedWords: true },
    { args: ["content", "label", missing, "colour=blue"] },
    step("content", "label", s.fileDigest, "=x"),
    step("content", "ls", "-q", "labels.colour==blue"),
    { args: ["content", "fetch", "--plain-http", `${s.registry}/other:1`], lines: /^ctr:/ },
    step("content", "rm", s.fileDigest),
    step("content", "rm", s.fileDigest),
    step("content", "ls", "-q"),
  ];
}

function snapshots(s: Supplies, missing: string): Step[] {
  return [
    step("snapshots", "ls"),
    step("snapshots", "--snapshotter", "none", "ls"),
    step("snapshots", "info", s.chain),
    step("snapshots", "info", missing),
    step("snapshots", "usage"),
    step("snapshots", "prepare", "work", s.chain),
    step("snapshots", "prepare", "work", s.chain),
    step("snapshots", "prepare", "orphan", missing),
    step("snapshots", "prepare", "on-active", "work"),
    step("snapshots", "prepare", "--target", `${s.scratch}/work`, "scratch"),
    step("snapshots", "view", "seen", s.chain),
    step("snapshots", "view", "seen", s.chain),
    step("snapshots", "mounts", "/target", "work"),
    step("snapshots", "mounts", "/target", "seen"),
    step("snapshots", "mounts", "/target", s.chain),
    step("snapshots", "mounts", "/target", "missing"),
    step("snapshots", "diff", "--media-type", "application/vnd.oci.image.layer.v1.tar", "work", s.chain),
    step("snapshots", "commit", "done", "scratch"),
    step("snapshots", "commit", "done", "work"),
    step("snapshots", "commit", "again", "scratch"),
    step("snapshots", "commit", "from-view", "seen"),
    { args: ["snapshots", "label", "done", "k=v"], unorderedWords: true },
    step("snapshots", "label", "missing", "k=v"),
    step("snapshots", "label", "done", "=x"),
    step("snapshots", "tree"),
    step("snapshots", "ls"),
    step("snapshots", "info", "done"),
    step("snapshots", "rm", s.chain),
    step("snapshots", "rm", "work", "seen", "done"),
    step("snapshots", "rm", "work"),
    step("snapshots", "unpack", s.manifest),
    step("snapshots", "ls"),
  ];
}

function leases(missing: string): Step[] {
  return [
    step("leases", "ls"),
    { args: ["leases", "create", "--id", "l1", "a=b", "c=d"] },
    step("leases", "create", "--id", "l1"),
    { args: ["leases", "create", "--id", "l2", "--expires", "1h"] },
    { args: ["leases", "ls", "id==l1"], unorderedWords: true },
    step("leases", "ls", "-q"),
    step("leases", "ls", "-q", "labels.a==b"),
    step("leases", "rm", "l1"),
    step("leases", "rm", "l1"),
    step("leases", "rm", "--sync", "l2"),
    step("leases", "ls", "-q"),
    step("content", "get", missing),
  ];
}

function containers(app: string): Step[] {
  return [
    step("containers", "ls"),
    step("containers", "create", app, "c1", "sh"),
    step("containers", "create", app, "c1", "sh"),
    step("containers", "create", app, "bad/id", "sh"),
    step("containers", "create", "nothing", "c2", "sh"),
    step("containers", "create", "--label", "k=v", "--snapshotter", "native", app, "c2", "sh"),
    step("containers", "ls"),
    step("containers", "ls", "-q"),
    step("containers", "ls", "-q", "labels.k==v"),
    step("containers", "ls", "-q", "runtime.name==io.containerd.runc.v2,id==c1"),
    step("containers", "ls", "-q", "id==c1", "id==c2"),
    step("containers", "info", "c1"),
    step("containers", "info", "missing"),
    { args: ["containers", "label", "c1", "x=y"], unorderedWords: true },
    step("containers", "label", "missing", "x=y"),
    step("containers", "label", "c1", "=x"),
    step("containers", "create", "--label", "=x", app, "c3"),
    step("snapshots", "ls"),
    step("snapshots", "rm", "c1"),
    step("containers", "rm", "c1"),
    step("containers", "rm", "c1"),
    step("containers", "rm", "--keep-snapshot", "c2"),
    step("snapshots", "--snapshotter", "native", "rm", "c2"),
    step("containers", "ls"),
  ];
}

function tasks(): Step[] {
  return [
    step("tasks", "ls"),
    step("tasks", "kill", "missing"),
    step("tasks", "rm", "missing"),
    step("tasks", "metrics", "missing"),
    step("tasks", "ps", "missing"),
    step("tasks", "pause", "missing"),
  ];
}
