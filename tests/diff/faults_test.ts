import { deepEqual, equal, rejects } from "node:assert/strict";
import { createHash } from "node:crypto";
import { isFailure } from "../../api/errors.ts";
import { ApplyRequest, DiffDefinition, DiffRequest } from "../../api/gen/services/diff/v1/diff.ts";
import { inProcess } from "../../api/rpc/in_process.ts";
import { archive } from "../../daemon/diff/archive_fixture.ts";
import { Differ } from "../../daemon/diff/differ.ts";
import { DiffService } from "../../daemon/services/diff.ts";
import { openStores } from "../../daemon/store.ts";
import { Running, sourceRoot, succeed, systemTest } from "../command.ts";
import { makeScratch, randomNumbers } from "../scratch.ts";

const layer = "application/vnd.oci.image.layer.v1.tar";

systemTest("a killed Differ leaves no mount and no process", ["mount"], async () => {
  await using scratch = await makeScratch();
  const random = randomNumbers("killed differ");
  const files = Array.from({ length: 300 }, (_, index) => ({ name: `d${index % 7}/f${index}`, data: `${index}` }));
  const tar = archive(...files);
  const [blob, target, output] = ["blob", "target", "output"].map((name) => `${scratch.path}/${name}`);
  await Deno.writeFile(blob!, tar);
  await Deno.writeFile(output!, new Uint8Array());
  await Deno.mkdir(target!);
  const digest = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
  const words = [Deno.execPath(), "run", "-A", "--quiet", "--config", `${sourceRoot}/deno.json`];
  for (let round = 0; round < 4; round++) {
    const victim = [`${sourceRoot}/tests/diff/victim.ts`, `${scratch.path}/tmpmounts`, blob!, digest, target!, output!];
    await using running = new Running([...words, ...victim]);
    await running.says("begins");
    await new Promise((resolve) => setTimeout(resolve, 100 + random() * 200));
    running.kill("SIGKILL");
    await running.finished;
    await scratch.assertNothingLeft();
  }
});

systemTest("DiffService says that the disk is full, and leaves neither mount nor ingest", ["mount"], async () => {
  await using scratch = await makeScratch();
  const [full, roomy] = ["full", "roomy"].map((name) => `${scratch.path}/${name}`);
  await Deno.mkdir(full!);
  await Deno.mkdir(roomy!);
  await succeed(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", full!]);
  using stores = await openStores(`${full}/root`);
  using differ = new Differ({ mountDirectory: `${scratch.path}/tmpmounts` });
  const service = new DiffService({ stores, events: { publish: () => {} }, differ });
  const client = inProcess(DiffDefinition, service, { "containerd-namespace": "ns" });
  await Deno.writeFile(`${roomy}/f`, crypto.getRandomValues(new Uint8Array(65_536)));
  await Deno.truncate(`${roomy}/f`, 8 << 20);
  const bind = (source: string) => ({ type: "bind", source, options: ["rbind", "rw"] });
  const full8 = client.diff(DiffRequest.fromPartial({ right: [bind(roomy!)], mediaType: layer }));
  await rejects(full8, (error) => isFailure(error, "ResourceExhausted") && /no space left/.test(error.message));
  const ingest = `${full}/root/io.containerd.content.v1.content/ingest`;
  deepEqual([...Deno.readDirSync(ingest)], []);
  const { diff } = await client.diff(DiffRequest.fromPartial({ right: [bind(roomy!)] }));
  await Deno.mkdir(`${full}/target`);
  const apply = client.apply(ApplyRequest.fromPartial({ diff, mounts: [bind(`${full}/target`)] }));
  await rejects(apply, (error) => isFailure(error, "ResourceExhausted") && /mount callback failed/.test(error.message));
  deepEqual(scratch.mounts(), [full]);
});

systemTest("Differ mounts more lower directories than fit into a page of options", ["mount"], async () => {
  await using scratch = await makeScratch();
  const lowers = Array.from(
    { length: 120 },
    (_, index) => `${scratch.path}/a-directory-with-a-rather-long-name/${index}/fs`,
  );
  for (const [index, lower] of lowers.entries()) {
    await Deno.mkdir(lower, { recursive: true });
    await Deno.writeTextFile(`${lower}/f${index}`, "");
  }
  await Deno.mkdir(`${scratch.path}/lower`);
  await Deno.writeFile(`${scratch.path}/output`, new Uint8Array());
  using differ = new Differ({ mountDirectory: `${scratch.path}/tmpmounts` });
  const result = await differ.compare({
    lower: [{ type: "bind", source: `${scratch.path}/lower`, target: "", options: ["rbind", "ro"] }],
    upper: [{ type: "overlay", source: "overlay", target: "", options: [`lowerdir=${lowers.join(":")}`] }],
    packing: "none",
    output: `${scratch.path}/output`,
  }, AbortSignal.timeout(30_000));
  equal(result.size, 120 * 512 + 1024);
  deepEqual(scratch.mounts(), []);
});
