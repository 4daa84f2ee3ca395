/**
 * Specs with something wrong in them, run by the installed runtime: each runs, or is refused in a sentence, and nothing of
 * it is left. The same with a thousand times as many, without a process: shim/oci/spec/spec_fuzz_test.ts.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { runtimeTest } from "../bundle.ts";
import { fuzzSeed, Mutator } from "../../shim/oci/spec/mutation_fixture.ts";

const seed = fuzzSeed();
const rounds = Number(Deno.env.get("BARGE_FUZZ_ROUNDS") ?? 250);

/** Words that only a fault of the program itself has. */
const internal =
  /TypeError|RangeError|ReferenceError|SyntaxError|AssertionError|Cannot read propert|is not a function|is not iterable|\bat (file|async|ext):|\bundefined\b|\[object |\bNaN\b|Uncaught|panic/;

/** What no test may leave to chance: the host's own file systems, cgroups and namespaces are not to be touched. */
function harmless(spec: Spec, own: Spec): Spec {
  const namespaces = spec.linux?.namespaces;
  return {
    ...spec,
    root: { ...spec.root, path: own.root!.path },
    linux: {
      ...spec.linux,
      cgroupsPath: own.linux!.cgroupsPath!,
      rootfsPropagation: "rprivate",
      namespaces: Array.isArray(namespaces) && namespaces.some((one) => one?.type === "mount" && !one.path)
        ? namespaces
        : own.linux!.namespaces!,
    },
  };
}

runtimeTest(
  `runs or refuses in words whatever spec comes (BARGE_FUZZ_SEED=${seed})`,
  async (bundle, runtime, scratch) => {
    const mutator = new Mutator(seed);
    const path = `${bundle.path}/config.json`;
    await bundle.command("true");
    await bundle.edit((spec) => {
      spec.process.user.additionalGids = [5];
      spec.process.oomScoreAdj = 100;
      spec.annotations = { "org.example.one": "1" };
      spec.hooks = { createRuntime: [{ path: "/bin/true", timeout: 5 }], poststop: [{ path: "/bin/true" }] };
      spec.mounts.push({ destination: "/bound", type: "bind", source: "rootfs/tmp", options: ["rbind", "ro"] });
      spec.linux.devices = [{ type: "c", path: "/dev/x", major: 1, minor: 3, fileMode: 0o666, uid: 0, gid: 0 }];
      spec.linux.sysctl = { "net.ipv4.ip_forward": "1" };
      spec.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86_64"],
        syscalls: [{ names: ["getcwd"], action: "SCMP_ACT_ERRNO", errnoRet: 5 }],
      };
      spec.linux.resources = {
        devices: [{ allow: false, access: "rwm" }],
        memory: { limit: 1 << 26 },
        cpu: { shares: 512, cpus: "0" },
        pids: { limit: 20 },
      };
    });
    const own = JSON.parse(await Deno.readTextFile(path)) as Spec;
    let ran = 0;
    for (let round = 0; round < rounds; round++) {
      const mutated = mutator.mutate(own);
      const isObject = typeof mutated === "object" && mutated !== null;
      const text = JSON.stringify(isObject ? harmless(mutated as Spec, own) : mutated);
      await Deno.writeTextFile(path, text);
      const { code, stderr } = await runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")], {
        timeoutMs: 20_000,
      });
      const sentences = stderr.trim().split("\n").map((line) => /msg="(.*)"$/.exec(line)?.[1]);
      if (code === 0) ran++;
      assert(!internal.test(stderr), `round ${round}: ${stderr}\nfor ${text}`);
      // What the command itself answers is its own affair; barge's sentences are lines of the log.
      const isRefused = /level=error/.test(stderr);
      if (isRefused) {
        assert(
          sentences.every((one) => one !== undefined && one !== ""),
          `round ${round}: ${stderr}\nfor ${text}`,
        );
      }
      assert.equal(await runtime.state(scratch.id("c")), undefined, text);
    }
    console.log(`${rounds} specs, ${ran} of them ran`);
    assert(ran > rounds / 50, `${ran} of ${rounds} ran`);
  },
  { only: "barge" },
);
