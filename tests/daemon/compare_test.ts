/**
 * Stock `ctr` against barge's daemon and against a stock containerd: the same commands give the same output.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execute, succeed, systemTest } from "../command.ts";
import { architecture, writeBusyboxLayout } from "../images.ts";
import { startRegistry, tarOf, writeLayout } from "../registry.ts";
import { makeScratch } from "../scratch.ts";
import { ctrScript, type Step, type Supplies } from "./ctr_script.ts";
import { type DaemonKind, startDaemon, type TestDaemon } from "./daemon_fixture.ts";
import { asStockAnnounces, expectedDifference } from "./differences.ts";

/** What cannot be the same on two daemons, as words that are. */
function normalized(text: string, { lines, unordered, unorderedWords }: Step, daemon: TestDaemon, s: Supplies): string {
  const plain = text
    // Progress is drawn with cursor movements and carriage returns.
    // deno-lint-ignore no-control-regex -- what a terminal is told begins with an escape character
    .replace(/\x1b\[[0-9;]*[A-Za-z]/g, "").replaceAll("\r", "\n")
    .replaceAll(daemon.directory, "DIRECTORY").replaceAll(s.scratch, "SCRATCH")
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d| \+0000 UTC)/g, "TIME")
    .replace(/\b(\d+|About an?|Less than a) (second|minute)s?\b/g, "AGE")
    .replace(/\b\d+(\.\d+)?(µs|ms|s)\b/g, "TIME")
    .replace(/\/snapshots\/\d+/g, "/snapshots/N")
    .replace(/\b\d+\/\d+\/(extract-)?/g, "KEY/")
    // The backend's key has a running number, of which failed mutations use up some.
    .replace(/(requested snapshot [a-z]+)\/\d+\//g, "$1/N/")
    // Where a backend keeps a snapshot is its own affair.
    .replace(/"[a-z0-9-]+\/\d+\/([^"]*)"/g, '"BACKEND/$1"');
  const all = plain.split("\n").map((line) => line.trimEnd()).filter((line) => lines?.test(line) ?? true);
  const ordered = unordered === true ? all.sort() : all;
  const words = (line: string) => line.split(/[\s,]+/).sort().join(" ");
  return (unorderedWords === true ? ordered.map(words) : ordered).join("\n").trim();
}

/**
 * None at the start; a collection comes minutes later, or when a command waits for one: else what nothing keeps would be
 * gone sooner or later by chance.
 */
const config = '[plugins."io.containerd.gc.v1.scheduler"]\npause_threshold = 0.00001\nstartup_delay = "1h"\n';

/** What a daemon printed at each step, and which events it announced meanwhile, in no particular order. */
interface Performance {
  readonly outputs: readonly string[];
  readonly events: readonly string[];
}

/** The lines of `ctr events` without their times. Keys that hold running numbers are made the same. */
function eventLines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const [, namespace, topic, json] = /^\S+ \S+ \S+ \S+ (\S+) (\S+) (.*)$/.exec(line) ?? [];
    assert.ok(json !== undefined, line);
    return `${namespace} ${topic} ${json}`.replace(/extract-\d+-\S+ /g, "extract-N ").replace(/\b\d{9,}\b/g, "N");
  }).sort();
}

/** Runs the whole script against one daemon. */
async function perform(kind: DaemonKind, s: Supplies): Promise<Performance> {
  await Deno.mkdir(s.scratch, { recursive: true });
  await using daemon = await startDaemon({ kind, config });
  const events = daemon.ctr("events");
  // A subscription is not acknowledged.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const outputs: string[] = [];
  for (const step of ctrScript(s)) {
    const input = step.stdin === undefined ? {} : { stdin: await Deno.readTextFile(step.stdin) };
    const { code, stdout, stderr } = await daemon.ctrWith(input, ...step.args);
    const out = normalized(stdout, step, daemon, s), err = normalized(stderr, step, daemon, s);
    outputs.push(`exit ${code}\n${out}\n${err}`.trim());
  }
  await execute(["umount", s.scratch]);
  await Deno.remove(s.scratch, { recursive: true });
  await daemon.stop();
  return { outputs, events: eventLines((await events).stdout) };
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

systemTest(
  "stock ctr sees no difference between barge's daemon and stock containerd, but the listed ones",
  ["busybox", "tar", "containerd", "ctr", "skopeo", "docker-registry"],
  async () => {
    await using scratch = await makeScratch();
    await using registry = await startRegistry();
    const layout = `${scratch.path}/layout`;
    await writeBusyboxLayout(layout, scratch);
    const other = `${scratch.path}/other`;
    await Deno.mkdir(`${scratch.path}/tree`);
    await Deno.writeTextFile(`${scratch.path}/tree/file`, "other\n");
    await writeLayout(other, [await tarOf(`${scratch.path}/tree`)], { architectures: [architecture] });
    await registry.push(`oci:${layout}:latest`, "app:1", { format: "v2s2" });
    await registry.push(`oci:${other}:latest`, "other:1");
    const archive = `${scratch.path}/archive.tar`;
    await succeed([
      ...["skopeo", "--insecure-policy", "copy", "--quiet", `oci:${other}:latest`],
      `docker-archive:${archive}:docker.io/library/archived:latest`,
    ]);
    const file = `${scratch.path}/file`;
    await Deno.writeTextFile(file, "some content\n");
    const raw = await succeed([
      ...["skopeo", "inspect", "--tls-verify=false", "--raw", `docker://${registry.host}/app:1`],
    ]);
    const manifest = JSON.parse(raw);
    const config = JSON.parse(
      await succeed([
        ...["skopeo", "inspect", "--tls-verify=false", "--config", "--raw", `docker://${registry.host}/app:1`],
      ]),
    );
    const supplies: Supplies = {
      registry: registry.host,
      archive,
      file,
      fileDigest: sha256(await Deno.readFile(file)),
      scratch: `${scratch.path}/target`,
      manifest: sha256(new TextEncoder().encode(raw)),
      layer: manifest.layers[0].digest,
      chain: config.rootfs.diff_ids[0],
    };
    const stock = await perform("stock", supplies);
    const ours = await perform("barge", supplies);
    const differences = ctrScript(supplies).flatMap((step, index) => {
      const command = step.args.join(" ");
      const [one, other] = [ours.outputs[index]!, stock.outputs[index]!];
      if (one === other || expectedDifference(command, one, other)) return [];
      return [`$ ctr ${command}\n--- stock\n${other}\n--- barge\n${one}`];
    });
    assert.equal(differences.length, 0, differences.join("\n\n"));
    assert.ok(stock.events.length > 30, stock.events.join("\n"));
    assert.deepEqual(ours.events.flatMap(asStockAnnounces).sort(), stock.events);
    assert.ok(
      stock.outputs.filter((output) => output.startsWith("exit 0")).length > 60,
      "too few commands succeed on stock",
    );
  },
);
