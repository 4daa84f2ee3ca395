import assert from "node:assert/strict";
import { IntrospectionDefinition } from "../../api/gen/services/introspection/v1/introspection.ts";
import { connect, dialUnix } from "../../api/grpc/client.ts";
import { barge, execute, systemTest } from "../command.ts";
import { linkShims } from "../installed.ts";
import { makeScratch } from "../scratch.ts";
import { spawnDaemon, startDaemon } from "./daemon_fixture.ts";

const daemonCommand = (...args: string[]) => execute([...barge, "daemon", ...args]);

systemTest("barge daemon goes on without a disabled plugin, and shows one that failed", ["ctr"], async () => {
  await using daemon = await startDaemon({
    top: `disabled_plugins = ["io.containerd.grpc.v1.images"]`,
    config: `[plugins."io.containerd.service.v1.tasks-service"]\nrdt_config_file = "/x"\n`,
  });
  const images = await daemon.ctr("images", "ls");
  assert.match(images.stderr, /unknown service containerd\.services\.images\.v1\.Images/);
  const plugins = await daemon.ask("plugins", "ls");
  assert(!/grpc\.v1 +images/.test(plugins));
  assert.match(plugins, /service\.v1 +tasks-service +\S+ +error/);
  assert.match(plugins, /grpc\.v1 +tasks +\S+ +error/);
  assert.match(await daemon.ask("plugins", "ls", "-d"), /Message: +classes of block I\/O and caches/);
  await daemon.ask("namespaces", "ls");
});

systemTest("barge daemon ends where a required plugin is missing or fails", ["ctr"], async () => {
  for (
    const [config, text] of [
      [
        `required_plugins = ["io.containerd.grpc.v1.nothing"]`,
        /required_plugins: there is no plugin .io\.containerd\.grpc\.v1\.nothing/,
      ],
      [
        `required_plugins = ["io.containerd.server.v1.metrics"]`,
        /load required plugin io\.containerd\.server\.v1\.metrics/,
      ],
      [`oom_score = "much"`, /config\.toml:\d+/],
      [`imports = [`, /config\.toml:\d+/],
    ] as const
  ) {
    await using daemon = await spawnDaemon({ top: config });
    assert.equal((await daemon.ended()).code, 1, config);
    assert.match(daemon.log, text);
    assert.match(daemon.log, /^containerd: /m);
  }
});

systemTest("barge daemon warns of an unknown key with its place, and serves", ["ctr"], async () => {
  await using daemon = await startDaemon({ top: `oom_scores = 5` });
  assert.match(daemon.log, /level=warning msg="Ignoring .*config\.toml:\d+:1: unknown key .*oom_score/);
});

systemTest("barge daemon sets its OOM score, and its log's level and format", ["ctr"], async () => {
  await using daemon = await startDaemon({
    top: `oom_score = 321`,
    config: `[debug]\nformat = "json"\nlevel = "debug"\n`,
  });
  assert.equal((await Deno.readTextFile(`/proc/${daemon.pid}/oom_score_adj`)).trim(), "321");
  const lines = daemon.log.trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(lines.some(({ msg, level }) => msg === "starting containerd" && level === "info"));
});

systemTest("barge daemon offers metrics under containerd's names", ["ctr"], async () => {
  await using daemon = await startDaemon({ config: `[metrics]\naddress = "127.0.0.1:0"\ngrpc_histogram = true\n` });
  const address = /serving\.\.\..*address="?(127\.0\.0\.1:\d+)/.exec(daemon.log)?.[1];
  await daemon.ask("version");
  await daemon.ctr("tasks", "kill", "none");
  const text = await (await fetch(`http://${address}/v1/metrics`)).text();
  const labels = (method: string, service: string, type = "unary") =>
    `grpc_method="${method}",grpc_service="containerd.services.${service}",grpc_type="${type}"`;
  assert.match(text, /^containerd_build_info_total\{revision=".+",version="v2.+"\} 1$/m);
  assert.ok(text.includes(`grpc_server_started_total{${labels("Version", "version.v1.Version")}} 1\n`), text);
  assert.ok(text.includes(`grpc_server_handled_total{grpc_code="OK",${labels("Version", "version.v1.Version")}} 1\n`));
  assert.ok(
    text.includes(`grpc_server_handled_total{grpc_code="NotFound",${labels("Get", "containers.v1.Containers")}} 1\n`),
  );
  assert.ok(text.includes(`grpc_server_handling_seconds_count{${labels("Version", "version.v1.Version")}} 1\n`));
  assert.ok(
    text.includes(`grpc_server_started_total{${labels("Subscribe", "events.v1.Events", "server_stream")}} 0\n`),
  );
  assert.match(text, /^process_resident_memory_bytes [1-9]/m);
});

systemTest("barge daemon serves stock ctr pprof on its debug socket", ["ctr"], async () => {
  await using daemon = await spawnDaemon();
  await daemon.stop("SIGKILL");
  const socket = `${daemon.directory}/d.sock`;
  await using other = await startDaemon({ config: `[debug]\naddress = "${socket}"\n` });
  const pprof = (...args: string[]) => other.ctr("pprof", "--debug-socket", socket, ...args);
  assert.match((await pprof("goroutines")).stdout, /calls in flight/);
  assert.match((await pprof("heap")).stdout, /used_heap_size/);
  assert.match((await pprof("block")).stdout + (await pprof("block")).stderr, /not implemented|501/);
});

systemTest("barge daemon refuses TCP without TLS beyond this machine, and serves on loopback", ["ctr"], async () => {
  const grpc = (address: string) => ({
    config: `[plugins."io.containerd.server.v1.grpc-tcp"]\naddress = "${address}"\n`,
  });
  await using open = await spawnDaemon(grpc("0.0.0.0:0"));
  assert.equal((await open.ended()).code, 1);
  assert.match(open.log, /without TLS: whoever reaches it would be root/);
  await using local = await startDaemon(grpc("127.0.0.1:0"));
  assert.match(local.log, /serving\.\.\..*127\.0\.0\.1:\d+/);
});

Deno.test("barge says its version, and by each of its names what the program of that name says", async () => {
  for (const word of ["--version", "-v", "version"]) {
    const { code, stdout } = await execute([...barge, word]);
    assert.deepEqual(
      [code, /^barge version \d+\.\d+\.\d+\ncontainerd v2\S+\nDeno \S+\n$/.test(stdout)],
      [0, true],
      stdout,
    );
  }
  const directory = await Deno.makeTempDir({ prefix: "barge-names-" });
  await linkShims(directory, ["containerd", "containerd-shim-runc-v2", "runc"]);
  const said = async (name: string, flag: string) => (await execute([`${directory}/${name}`, flag])).stdout;
  // What scripts take out of it: the third word; the lines' names; the third word.
  for (const flag of ["--version", "-v"]) {
    assert.match(
      await said("containerd", flag),
      /^containerd github\.com\/containerd\/containerd\/v2 v2\.\d+\.\d+\S* \S+\n$/,
    );
    assert.match(await said("runc", flag), /^runc version \d+\.\d+\.\d+\S*\n/);
  }
  assert.match(
    await said("containerd-shim-runc-v2", "-v"),
    /^containerd-shim-runc-v2:\n {2}Version: {2}\S+\n {2}Revision: \S+\n {2}Deno version: \S+\n\n$/,
  );
  await Deno.remove(directory, { recursive: true });
});

Deno.test("barge daemon --version, config default and an unknown command", async () => {
  const version = await daemonCommand("--version");
  assert.match(version.stdout, /^containerd github\.com\/containerd\/containerd\/v2 v2\.\d+\.\d+\+barge\.\S+ \S+\n$/);
  const config = await daemonCommand("config", "default");
  assert.match(config.stdout, /^version = 4\n/);
  const wrong = await daemonCommand("confg");
  assert.equal(wrong.code, 3);
  assert.match(wrong.stderr, /did you mean "config"/);
  const flag = await daemonCommand("--adress", "x");
  assert.match(flag.stderr, /^containerd: unknown flag --adress: did you mean --address\?/);
  assert.equal((await daemonCommand("--config", "/nowhere/config.toml")).code, 1);
});

systemTest("barge daemon tells of what is deprecated, and what its snapshotters can", ["ctr"], async () => {
  await using daemon = await startDaemon({
    config: `[plugins."io.containerd.internal.v1.tracing"]\nservice_name = "x"\n` +
      `[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = ["https://m.example"]\n` +
      `[plugins."io.containerd.snapshotter.v1.overlayfs"]\nslow_chown = true\n`,
  });
  using channel = connect({ open: dialUnix(daemon.address), metadata: {} });
  const introspection = channel.client(IntrospectionDefinition);
  const told = (await introspection.server({})).deprecations;
  const ids = told.map(({ id }) => id.replace("io.containerd.deprecation/", ""));
  for (const id of ["tracing-service-config", "cri-registry-mirrors"]) assert(ids.includes(id), ids.join());
  // A client of containerd 2.3 shows them to its user.
  for (const { message, lastOccurrence } of told) {
    assert(message !== "" && Date.now() - lastOccurrence!.seconds * 1000 < 60_000);
    assert(daemon.log.includes(`DEPRECATION: ${message}`), daemon.log);
  }
  const isUnified = await Deno.stat("/sys/fs/cgroup/cgroup.controllers").then(() => true, () => false);
  assert.equal(ids.includes("cgroup-v1"), !isUnified);
  const overlay = await daemon.ask("plugins", "ls", "-d", "id==overlayfs");
  assert.match(overlay, /rebase/);
  assert(!overlay.includes("only-remap-ids"));
  await using other = await startDaemon();
  assert.match(
    await other.ask("plugins", "ls", "-d", "id==overlayfs"),
    /Capabilities: +(remap-ids,)?only-remap-ids,rebase\n/,
  );
  using second = connect({ open: dialUnix(other.address), metadata: {} });
  const rest = (await second.client(IntrospectionDefinition).server({})).deprecations.map(({ id }) => id);
  assert.deepEqual(rest, isUnified ? [] : ["io.containerd.deprecation/cgroup-v1"]);
});

systemTest("barge daemon keeps snapshots where the configuration says", ["ctr"], async () => {
  await using scratch = await makeScratch();
  const elsewhere = `${scratch.path}/elsewhere`;
  await using daemon = await startDaemon({
    config: `[plugins."io.containerd.snapshotter.v1.overlayfs"]\nroot_path = "${elsewhere}"\n`,
  });
  await daemon.ask("snapshots", "prepare", "one");
  assert.match(await daemon.ask("snapshots", "mounts", "/target", "one"), new RegExp(`${elsewhere}/snapshots/1/fs`));
});
