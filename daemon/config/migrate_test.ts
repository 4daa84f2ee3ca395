import { deepEqual, equal, throws } from "node:assert/strict";
import { readDocument } from "./document.ts";
import { currentVersion, migrate, versionOf } from "./migrate.ts";
import type { Problem } from "./problem.ts";
import { itemAt, showOrigin } from "./tree.ts";
import { writeDocument } from "./write.ts";

/** The document in the current version, without the line of the version. */
async function migrated(text: string): Promise<[text: string, notes: string[]]> {
  const problems: Problem[] = [];
  const original = await readDocument(text, "f");
  const before = writeDocument(original);
  const tree = migrate(original, (problem) => problems.push(problem));
  equal(writeDocument(original), before, "the original has changed");
  equal(versionOf(tree), currentVersion);
  tree.entries.delete("version");
  return [writeDocument(tree).trim(), problems.map(({ message }) => message)];
}

async function same(written: string, version: number): Promise<string> {
  return (await migrated(`version = ${version}\n${written}`))[0];
}

const cases: readonly [what: string, version: number, from: string, to: string][] = [
  [
    "short names of sections",
    1,
    "[plugins.cri]\ndisable_tcp_service = true\n[plugins.bolt]\na = 1\n[plugins.own]\nb = 1\n[plugins.diff-service]\nc=1",
    `
[plugins]
  [plugins.'io.containerd.grpc.v1.cri']
    disable_tcp_service = true

  [plugins.'io.containerd.metadata.v1.bolt']
    a = 1

  [plugins.'io.containerd.grpc.v1.own']
    b = 1

  [plugins.'io.containerd.service.v1.diff-service']
    c = 1`,
  ],
  [
    "a short name beside its full one, which wins",
    1,
    "[plugins.'io.containerd.gc.v1.scheduler']\na = 1\n[plugins.scheduler]\na = 2\nb = 2",
    `
[plugins]
  [plugins.'io.containerd.gc.v1.scheduler']
    a = 1
    b = 2`,
  ],
  [
    "short names in lists",
    1,
    "disabled_plugins = ['cri', 'zfs', 'io.x.y']\nrequired_plugins = ['restart']",
    `
disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.snapshotter.v1.zfs', 'io.x.y']
required_plugins = ['io.containerd.monitor.container.v1.restart']`,
  ],
  [
    "no short names from version 2 on",
    2,
    "disabled_plugins = ['cri']\n[plugins.zfs]\na = 1",
    `
disabled_plugins = ['cri']

[plugins]
  [plugins.zfs]
    a = 1`,
  ],
  [
    "renamed monitors",
    2,
    "disabled_plugins = ['io.containerd.monitor.v1.cgroups']\n[plugins.'io.containerd.internal.v1.restart']\ninterval = '5s'",
    `
disabled_plugins = ['io.containerd.monitor.task.v1.cgroups']

[plugins]
  [plugins.'io.containerd.monitor.container.v1.restart']
    interval = '5s'`,
  ],
  [
    "core scheduling, over two steps",
    2,
    "[plugins.'io.containerd.runtime.v2.task']\nsched_core = true",
    `
[plugins]
  [plugins.'io.containerd.runtime.v2.task']

  [plugins.'io.containerd.shim.v1.manager']
    env = ['SCHED_CORE=1']`,
  ],
  [
    "core scheduling beside other variables",
    3,
    "[plugins.'io.containerd.runtime.v2.task']\nsched_core = true\nplatforms = ['x']\n[plugins.'io.containerd.shim.v1.manager']\nenv = ['A=b']",
    `
[plugins]
  [plugins.'io.containerd.runtime.v2.task']
    platforms = ['x']

  [plugins.'io.containerd.shim.v1.manager']
    env = ['A=b', 'SCHED_CORE=1']`,
  ],
  [
    "servers",
    3,
    "plugin_dir = ''\n[grpc]\naddress = '/a'\ntcp_address = ':1'\ntcp_tls_ca = 'ca'\nuid = 5\nmax_recv_message_size = 9\n[metrics]\naddress = ':2'\ngrpc_histogram = true\n[debug]\nlevel = 'info'\naddress = '/d'\ngid = 7",
    `
[debug]
  level = 'info'

[plugins]
  [plugins.'io.containerd.server.v1.grpc']
    address = '/a'
    uid = 5
    max_recv_message_size = 9

  [plugins.'io.containerd.server.v1.grpc-tcp']
    address = ':1'
    tls_ca = 'ca'
    max_recv_message_size = 9

  [plugins.'io.containerd.server.v1.ttrpc']
    address = '/a.ttrpc'
    uid = 5

  [plugins.'io.containerd.server.v1.metrics']
    address = ':2'

  [plugins.'io.containerd.metrics.v1.grpc-prometheus']
    grpc_histogram = true

  [plugins.'io.containerd.server.v1.debug']
    address = '/d'
    gid = 7`,
  ],
  [
    "ttrpc with an address and owner of its own",
    2,
    "[grpc]\naddress = '/a'\nuid = 5\n[ttrpc]\naddress = '/t'\nuid = 6",
    `
[plugins]
  [plugins.'io.containerd.server.v1.grpc']
    address = '/a'
    uid = 5

  [plugins.'io.containerd.server.v1.ttrpc']
    address = '/t'
    uid = 6`,
  ],
  [
    "no server over a section that is there",
    3,
    "[grpc]\naddress = '/a'\n[plugins.'io.containerd.server.v1.grpc']\naddress = '/b'\n[plugins.'io.containerd.server.v1.ttrpc']\nuid = 1",
    `
[plugins]
  [plugins.'io.containerd.server.v1.grpc']
    address = '/b'

  [plugins.'io.containerd.server.v1.ttrpc']
    uid = 1`,
  ],
  [
    "CRI",
    2,
    `[plugins.'io.containerd.grpc.v1.cri']
sandbox_image = 'p'
stats_collect_period = 5
stream_server_port = '1'
enable_selinux = true
[plugins.'io.containerd.grpc.v1.cri'.cni]
bin_dir = '/b'
[plugins.'io.containerd.grpc.v1.cri'.containerd]
snapshotter = 's'
default_runtime_name = 'r'
[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.r]
sandbox_mode = 'shim'
[plugins.'io.containerd.grpc.v1.cri'.registry]
config_path = '/c'
[plugins.'io.containerd.cri.v1.images']
snapshotter = 'overridden'
[plugins.'io.containerd.cri.v1.runtime']
enable_selinux = false`,
    `
[plugins]
  [plugins.'io.containerd.grpc.v1.cri']
    stream_server_port = '1'

  [plugins.'io.containerd.cri.v1.images']
    snapshotter = 's'
    stats_collect_period = 5

    [plugins.'io.containerd.cri.v1.images'.pinned_images]
      sandbox = 'p'

    [plugins.'io.containerd.cri.v1.images'.registry]
      config_path = '/c'

  [plugins.'io.containerd.cri.v1.runtime']
    enable_selinux = false

    [plugins.'io.containerd.cri.v1.runtime'.cni]
      bin_dirs = ['/b']

    [plugins.'io.containerd.cri.v1.runtime'.containerd]
      default_runtime_name = 'r'

      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes]
        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.r]
          sandboxer = 'shim'`,
  ],
  [
    "nothing of the current version",
    4,
    "[grpc]\naddress = '/a'\n[plugins.'io.containerd.internal.v1.restart']\na = 1",
    `
[grpc]
  address = '/a'

[plugins]
  [plugins.'io.containerd.internal.v1.restart']
    a = 1`,
  ],
];

for (const [what, version, from, to] of cases) {
  Deno.test(`migrate() takes over ${what} from version ${version}`, async () => {
    equal(await same(from, version), to.trim());
  });
}

Deno.test("migrate() reads no version as version 1, and says so", async () => {
  const [text, notes] = await migrated("[plugins.cri]\ndisable_tcp_service = true\n[plugins.windows]\na = 1");
  equal(text.includes("io.containerd.grpc.v1.cri"), true);
  equal(notes.length, 2);
  equal(notes[0]!.startsWith("the file has no version, which is read as version 1"), true);
  equal(notes[1], 'the short name "windows" is taken for "io.containerd.snapshotter.v1.windows": write the full name');
});

Deno.test("migrate() keeps the place where a value was written", async () => {
  const tree = migrate(await readDocument("version = 2\n[grpc]\n  address = '/a'", "f"), () => {});
  const address = itemAt(tree, "plugins", "io.containerd.server.v1.grpc", "address");
  equal(address && showOrigin(address.at), "f:3:3");
});

Deno.test("migrate() of what is in the current version already changes nothing when repeated", async () => {
  for (const [, version, from] of cases) {
    const once = await same(from, version);
    deepEqual(await same(once, 4), once);
    // What an old file says has the same meaning when its sections are in the new place already.
    if (!once.includes("[grpc]")) deepEqual(await same(once, 3), once);
  }
});

Deno.test("versionOf() refuses what is no version, and what comes from the future", async () => {
  const tree = (text: string) => readDocument(text, "f");
  throws(
    await tree("version = 5").then((t) => () => versionOf(t)),
    /^Failure: f:1:1: expected containerd config version equal to or less than `4`, got `5`$/,
  );
  throws(
    await tree("version = '2'").then((t) => () => versionOf(t)),
    /f:1:1: version is no version: want a number from 1 to 4/,
  );
  throws(await tree("version = -1").then((t) => () => versionOf(t)), /version is no version/);
  equal(versionOf(await tree("")), 0);
});

Deno.test("migrate() takes tables that are none as they are, for the check to report", async () => {
  for (const key of ["plugins", "grpc", "debug", "ttrpc", "metrics", "disabled_plugins"]) {
    for (const version of [0, 1, 2, 3]) {
      const [text] = await migrated(`version = ${version}\n${key} = 5`);
      equal(text, `${key} = 5`);
    }
  }
  const [text] = await migrated(
    "version = 1\n[plugins]\ncri = 5\nscheduler = []\n[plugins.'io.containerd.runtime.v2.task']\nsched_core = 1",
  );
  equal(text.includes("'io.containerd.grpc.v1.cri' = 5") && text.includes("sched_core = 1"), true, text);
});
