import assert from "node:assert/strict";
import { ShimLauncher } from "./launcher.ts";
import { Logger } from "../log/logger.ts";
import { runShim, shimArguments, shimEnvironment } from "./shim_program.ts";

const surroundings = {
  address: "/run/c.sock",
  ttrpcAddress: "/run/c.sock.ttrpc",
  publishBinary: "/bin/containerd",
  debug: true,
  grouping: "namespace" as const,
  places: 20,
  env: ["SCHED_CORE=1", "EMPTY="],
};

async function withProgram(script: string, body: (program: string, directory: string) => Promise<void>) {
  const directory = await Deno.makeTempDir();
  try {
    const program = `${directory}/shim`;
    await Deno.writeTextFile(program, `#!/bin/sh\n${script}`, { mode: 0o755 });
    await body(program, directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("shimArguments() and shimEnvironment() are containerd's", () => {
  const subject = { namespace: "ns", id: "one", directory: "/bundle" };
  assert.equal(
    shimArguments(surroundings, subject, "start").join(" "),
    "-namespace ns -address /run/c.sock -publish-binary /bin/containerd -id one -debug start",
  );
  assert.match(shimArguments(surroundings, subject, "delete").join(" "), / -id one -bundle \/bundle -debug delete$/);
  const env = shimEnvironment("/bin/containerd-shim-ts-v2", surroundings, "ns");
  assert.deepEqual([env["BARGE_SHIM_GROUP"], env["BARGE_SHIM_PLACES"]], ["namespace", "20"]);
  const stock = shimEnvironment("/bin/containerd-shim-runc-v2", surroundings, "ns");
  assert.deepEqual([stock["BARGE_SHIM_GROUP"], stock["BARGE_SHIM_PLACES"]], [undefined, undefined]);
  const { TTRPC_ADDRESS, GRPC_ADDRESS, NAMESPACE, MAX_SHIM_VERSION, GOMAXPROCS, SCHED_CORE, EMPTY, PATH } = env;
  assert.deepEqual(
    { TTRPC_ADDRESS, GRPC_ADDRESS, NAMESPACE, MAX_SHIM_VERSION, GOMAXPROCS, SCHED_CORE, EMPTY, PATH },
    {
      TTRPC_ADDRESS: "/run/c.sock.ttrpc",
      GRPC_ADDRESS: "/run/c.sock",
      NAMESPACE: "ns",
      MAX_SHIM_VERSION: "2",
      GOMAXPROCS: "2",
      SCHED_CORE: "1",
      EMPTY: "",
      PATH: Deno.env.get("PATH"),
    },
  );
});

Deno.test("runShim() gives input, takes output, and tells a failure with all that was written", () =>
  withProgram('cat; pwd; [ "$X" = y ] && exit 0; echo oops >&2; exit 3', async (program, directory) => {
    const signal = AbortSignal.timeout(10_000);
    const input = new TextEncoder().encode("given ");
    const { stdout } = await runShim(program, [], { directory, env: { X: "y" }, input, signal });
    assert.equal(new TextDecoder().decode(stdout), `given ${directory}\n`);
    await assert.rejects(runShim(program, [], { directory, env: {}, signal }), {
      code: "Unknown",
      message: `${directory}\noops\n: exit status 3`,
    });
    await assert.rejects(runShim(`${directory}/none`, [], { directory, env: {}, signal }), /fork\/exec .*none/);
  }));

Deno.test("runShim() kills a program that is too late", () =>
  withProgram("exec sleep 100", async (program, directory) => {
    const start = performance.now();
    const signal = AbortSignal.timeout(100);
    await assert.rejects(runShim(program, [], { directory, env: {}, signal }), { name: "TimeoutError" });
    assert(performance.now() - start < 5000);
  }));

Deno.test("runShim() takes no endless output", () =>
  withProgram("head -c 3000000 /dev/zero", async (program, directory) => {
    const signal = AbortSignal.timeout(10_000);
    await assert.rejects(runShim(program, [], { directory, env: {}, signal }), { code: "ResourceExhausted" });
  }));

Deno.test("ShimLauncher.info() decodes what a runtime says of itself, and knows those that say nothing", async () => {
  const launcher = new ShimLauncher(surroundings, Logger.to({ target: { write: () => {}, reopen: () => {} } }));
  const signal = AbortSignal.timeout(10_000);
  await withProgram("printf '\\012\\004some'", async (program) => {
    assert.equal((await launcher.info(program, undefined, signal)).name, "some");
  });
  await withProgram("echo 'flag provided but not defined: -info' >&2; exit 2", async (program) => {
    await assert.rejects(launcher.info(program, undefined, signal), { code: "NotImplemented" });
  });
});
