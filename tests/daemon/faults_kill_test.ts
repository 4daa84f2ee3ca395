/**
 * The daemon is killed, at random moments and before single steps, while clients change everything it keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sourceRoot, systemTest } from "../command.ts";
import { makeScratch, randomNumbers, seededNumbers } from "../scratch.ts";
import { DaemonClient } from "./daemon_client.ts";
import { removeAll, spawnDaemon, startDaemon } from "./daemon_fixture.ts";
import { Load } from "./faults_load.ts";
import { abortWrites, checkAccount, checkRoot, debris } from "./faults_root.ts";

const kills = 15;
const loads = 5;
/** The same in every run, so that the n-th step is the same one. */
const scriptSeed = 12;
/** Steps of the script that is killed before one of them. */
const scriptLength = 60;
/** Of all steps on the disk so many are chosen; `BARGE_KILL_STEPS=all` takes each, which needs some minutes. */
const chosenSteps = 8;
systemTest(
  `barge daemon that is killed ${kills} times under load keeps what it answered, and leaves nothing else`,
  ["du"],
  async () => {
    const random = randomNumbers("kill the daemon");
    await using scratch = await makeScratch();
    const directory = `${scratch.path}/daemon`;
    await Deno.mkdir(directory);
    const all = Array.from({ length: loads }, (_, index) => new Load(`n${index}`, random));
    const met = new Map<string, number>();
    const note = (what: string) => met.set(what, (met.get(what) ?? 0) + 1);
    let daemon = await startDaemon({ directory });
    try {
      for (let round = 0; round < kills; round++) {
        const delayMs = 10 + random() * 200;
        const clients = all.map(({ namespace }) => new DaemonClient(daemon.address, namespace));
        const working = Promise.all(all.map((load, index) => load.work(clients[index]!)));
        await Promise.race([working, new Promise((resolve) => setTimeout(resolve, delayMs))]);
        await daemon.stop("SIGKILL");
        await working;
        for (const client of clients) client[Symbol.dispose]();
        debris(daemon.root).forEach(note);
        daemon = await startDaemon({ directory });
        try {
          for (const load of all) {
            using client = new DaemonClient(daemon.address, load.namespace);
            (await load.compare(client)).forEach(note);
            await abortWrites(client);
          }
          await checkRoot(daemon);
        } catch (error) {
          throw new Error(`after kill ${round}, ${delayMs.toFixed(1)} ms into the load`, { cause: error });
        }
      }
      await checkAccount(daemon.root);
      assert.equal((await daemon.stop()).code, 0);
    } finally {
      await daemon[Symbol.asyncDispose]();
    }
    const answered = all.reduce((sum, load) => sum + load.answered, 0);
    console.log(`${answered} calls were answered; ${kills} kills met ${met.size} different states:`);
    for (const [what, count] of [...met].sort()) console.log(`  ${count} × ${what}`);
    assert(answered > 100 && met.size > 5, "the kills came too early");
    await removeAll(directory);
  },
);

const killable = [
  ...[Deno.execPath(), "run", "--allow-all", "--quiet", "--no-check", "--config", `${sourceRoot}/deno.json`],
  `${sourceRoot}/tests/daemon/killable_daemon_main.ts`,
];

/** Runs the script with a daemon that kills itself before step `at`; gives the load, and how many steps there were. */
async function runScript(directory: string, at: number): Promise<{ load: Load; steps: number }> {
  await using daemon = await spawnDaemon({ directory, command: [...killable, String(at)] });
  const booted = daemon.says("successfully booted").then(() => true, () => false);
  const load = new Load("script", seededNumbers(scriptSeed));
  if (await Promise.race([booted, daemon.ended().then(() => false)])) {
    using client = new DaemonClient(daemon.address, load.namespace);
    await load.work(client, scriptLength);
    if (at > 0) await client.collect().catch(() => {});
  }
  if (at === 0) await daemon.stop();
  else daemon.signal("SIGTERM");
  await daemon.ended();
  return { load, steps: Number(/^steps (\d+)$/m.exec(daemon.log)?.[1]) };
}

systemTest(
  "barge daemon that is killed before a step of a start, a change or a collection is whole afterwards",
  [],
  async () => {
    const random = randomNumbers("kill the daemon before a step");
    await using scratch = await makeScratch();
    const place = async (name: string) => {
      const directory = `${scratch.path}/${name}`;
      await Deno.mkdir(directory);
      return directory;
    };
    const { steps } = await runScript(await place("whole"), 0);
    assert(steps > 200, `${steps} steps`);
    const wantsAll = Deno.env.get("BARGE_KILL_STEPS") === "all";
    const count = wantsAll ? steps : chosenSteps;
    const part = steps / count;
    const left = new Map<string, number>();
    for (let n = 0; n < count; n++) {
      // One of each part, so that the early and the late ones are among them.
      const at = wantsAll ? n + 1 : 1 + Math.floor((n + random()) * part);
      const directory = await place(`${at}`);
      const { load } = await runScript(directory, at);
      try {
        await using daemon = await startDaemon({ directory });
        using client = new DaemonClient(daemon.address, load.namespace);
        for (const what of await load.compare(client)) left.set(what, (left.get(what) ?? 0) + 1);
        await abortWrites(client);
        await checkRoot(daemon);
        await daemon.stop();
      } catch (error) {
        throw new Error(`killed before step ${at} of ${steps}`, { cause: error });
      }
      await removeAll(directory);
    }
    console.log(`${count} of ${steps} steps, with ${left.size} different states:`);
    for (const [what, times] of [...left].sort()) console.log(`  ${times} × ${what}`);
    await removeAll(`${scratch.path}/whole`);
  },
);
