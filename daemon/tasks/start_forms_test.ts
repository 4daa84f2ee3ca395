import assert from "node:assert/strict";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { BootstrapParams, BootstrapResult } from "../../api/gen/runtime/bootstrap/v1/bootstrap.ts";
import { RuntimeInfo } from "../../api/gen/types/introspection.ts";
import { Logger } from "../log/logger.ts";
import { Bundle } from "./bundle.ts";
import { ShimLauncher } from "./launcher.ts";
import { formOf, StartForms } from "./start_forms.ts";

const info = (name: string, version: string) =>
  RuntimeInfo.create({ name, version: version === "" ? undefined : { version, revision: "" } });

Deno.test("formOf() knows containerd's shims since 2.3, and takes all others for older ones", () => {
  for (const version of ["2.3.0", "v2.3.4", "2.4.0-beta+unknown", "3.0.0"]) {
    assert.equal(formOf(info("io.containerd.runc.v2", version)), "message", version);
  }
  for (const version of ["1.6.20~ds1", "v1.7.0", "2.2.9", "2.0.0-rc.1", "unknown", ""]) {
    assert.equal(formOf(info("io.containerd.runc.v2", version)), "options", version);
  }
  assert.equal(formOf(info("io.containerd.kata.v2", "3.2.0")), "options");
});

Deno.test("StartForms asks a program once, and again when it was replaced", async () => {
  const program = await Deno.makeTempFile();
  try {
    const forms = new StartForms();
    let asked = 0;
    const ask = (version: string) => () => Promise.resolve(info("io.containerd.runc.v2", `${version}.${asked++}`));
    assert.equal(await forms.of(program, ask("2.3")), "message");
    assert.equal(await forms.of(program, ask("1.6")), "message");
    await Deno.writeTextFile(program, "another");
    assert.equal(await forms.of(program, ask("1.6")), "options");
    assert.equal(asked, 2);
    await Deno.writeTextFile(program, "one that does not know -info");
    assert.equal(await forms.of(program, () => Promise.reject(new Error("flag"))), "options");
  } finally {
    await Deno.remove(program);
  }
});

const refusal = "shim was started through the deprecated API but was built against the new API";

/** A shim that says what it is, keeps what it is told, and takes one form alone; gives what it was told. */
async function startWith(version: string, takes: "options" | "message", options: Any | undefined) {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${directory}/info`, RuntimeInfo.encode(info("io.containerd.runc.v2", version)).finish());
    const result = BootstrapResult.create({ version: 3, address: "unix:///s", protocol: "ttrpc" });
    await Deno.writeFile(`${directory}/result`, BootstrapResult.encode(result).finish());
    // The message has the namespace, which options have not.
    const script = `#!/bin/sh
case "$*" in
*-info*) ${version === "" ? `echo "flag provided but not defined: -info" >&2; exit 2` : `exec cat ${directory}/info`};;
esac
cat >${directory}/told
grep -q name-of-space ${directory}/told && form=message || form=options
[ $form = ${takes} ] || { echo "${refusal}" >&2; exit 1; }
[ $form = options ] && echo unix:///s || cat ${directory}/result
`;
    const program = `${directory}/containerd-shim-runc-v2`;
    await Deno.writeTextFile(program, script, { mode: 0o755 });
    const surroundings = {
      ...{ address: "/run/c.sock", ttrpcAddress: "/run/c.ttrpc", publishBinary: "/bin/containerd", debug: true },
      ...{ grouping: "pod" as const, places: 1, env: [] },
    };
    using launcher = new ShimLauncher(surroundings, Logger.to({ target: { write: () => {}, reopen: () => {} } }));
    const bundle = new Bundle({ state: `${directory}/state`, root: `${directory}/root` }, "name-of-space", "box");
    bundle.create(new TextEncoder().encode("{}"));
    const { endpoint } = await launcher.start(program, bundle, options, "", AbortSignal.timeout(20_000));
    return { endpoint, told: await Deno.readFile(`${directory}/told`) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const options = Any.create({ typeUrl: "containerd.runc.v1.Options", value: new Uint8Array([0x10, 1]) });

Deno.test("a shim of an older containerd is told its options alone, or nothing", async () => {
  for (const version of ["", "1.7.2"]) {
    const { endpoint, told } = await startWith(version, "options", options);
    assert.deepEqual(endpoint, { version: 2, address: "unix:///s", protocol: "ttrpc" });
    assert.deepEqual(Any.decode(told), options);
    assert.equal((await startWith(version, "options", undefined)).told.length, 0);
  }
});

Deno.test("a shim that wants BootstrapParams gets them, also one that says so only when it refuses the options", async () => {
  for (const version of ["2.4.0-beta+unknown", "dev", ""]) {
    const { endpoint, told } = await startWith(version, "message", options);
    assert.deepEqual(endpoint, { version: 3, address: "unix:///s", protocol: "ttrpc" });
    const {
      instanceId,
      namespace,
      logLevel,
      containerdGrpcAddress,
      containerdTtrpcAddress,
      containerdBinary,
      extensions,
    } = BootstrapParams.decode(told);
    assert.deepEqual([instanceId, namespace, logLevel], ["box", "name-of-space", -4]);
    const addresses = [containerdGrpcAddress, containerdTtrpcAddress, containerdBinary];
    assert.deepEqual(addresses, ["/run/c.sock", "/run/c.ttrpc", "/bin/containerd"]);
    assert.deepEqual(extensions.map(({ value }) => value), [options]);
  }
});
