import assert from "node:assert/strict";
import { CreateOptions } from "../../api/gen/types/runc/linux/runc.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { Options as TextOptions } from "../../api/gen/types/runtimeoptions/v1/api.ts";
import { requestedOptions } from "./requested_options.ts";

const text = (body: string, others: Partial<TextOptions> = {}) => ({
  typeUrl: "runtimeoptions.v1.Options",
  value: TextOptions.encode(TextOptions.create({ configBody: new TextEncoder().encode(body), ...others })).finish(),
});

const created = (options: Partial<CreateOptions>) => ({
  typeUrl: "containerd.linux.runc.CreateOptions",
  value: CreateOptions.encode(CreateOptions.create(options)).finish(),
});

Deno.test("requestedOptions() gives the defaults without any, and for an empty text", async () => {
  for (const any of [undefined, { typeUrl: "", value: new Uint8Array() }, text(""), text("# nothing\n")]) {
    assert.deepEqual(await requestedOptions(any), Options.create());
  }
});

Deno.test("requestedOptions() reads each of runc's names from a text, whatever their case", async () => {
  const body = `
    BinaryName = "/usr/bin/other"
    root = "/run/other"
    SystemdCgroup = true
    NoPivotRoot = true
    NoNewKeyring = true
    ShimCgroup = "/shims"
    IoUid = 4294967295
    IoGid = 7
    CriuImagePath = "/images"
    CriuWorkPath = "/work"
  `;
  assert.deepEqual(
    await requestedOptions(text(body)),
    Options.create({
      ...{ binaryName: "/usr/bin/other", root: "/run/other", systemdCgroup: true, noPivotRoot: true },
      ...{ noNewKeyring: true, shimCgroup: "/shims", ioUid: 4294967295, ioGid: 7 },
      ...{ criuImagePath: "/images", criuWorkPath: "/work" },
    }),
  );
});

Deno.test("requestedOptions() reads a file where there is no text", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, 'BinaryName = "crun"\n');
    assert.equal((await requestedOptions(text("", { configPath: path }))).binaryName, "crun");
    assert.equal((await requestedOptions(text('BinaryName = "youki"', { configPath: path }))).binaryName, "youki");
  } finally {
    await Deno.remove(path);
  }
  for (const configPath of [path, "/dev"]) {
    await assert.rejects(requestedOptions(text("", { configPath })), {
      code: "InvalidArgument",
      message: /options' file/,
    });
  }
});

Deno.test("requestedOptions() says what is wrong with a text", async () => {
  const wrong: [string, RegExp][] = [
    ["Binaryname", /no TOML at line 1/],
    ["\xff", /no TOML/],
    ['CriuPath = "/usr/sbin/criu"', /have no "CriuPath"/],
    ["[BinaryName]\na = 1", /BinaryName is .*want a text/],
    ['SystemdCgroup = "yes"', /SystemdCgroup is "yes": want true or false/],
    ["IoUid = -1", /IoUid is -1: want an id/],
    ["IoUid = 1.5", /IoUid is 1.5: want an id/],
  ];
  for (const [body, message] of wrong) {
    await assert.rejects(requestedOptions(text(body)), { code: "InvalidArgument", message });
  }
  await assert.rejects(requestedOptions(text("", { typeUrl: "runsc.Options" })), { message: /"runsc.Options": want/ });
});

Deno.test("requestedOptions() reads what containerd's client sends for a container's mapped users", async () => {
  assert.deepEqual(
    await requestedOptions(created({ ioUid: 100000, ioGid: 100001, terminal: true, shimCgroup: "/s" })),
    Options.create({ ioUid: 100000, ioGid: 100001, shimCgroup: "/s" }),
  );
  await assert.rejects(requestedOptions(created({ openTcp: true })), { code: "InvalidArgument", message: /restore/ });
});

Deno.test("requestedOptions() refuses the options of other runtimes, and bytes that are none", async () => {
  const typeUrl = "type.googleapis.com/runsc.Options";
  await assert.rejects(requestedOptions({ typeUrl, value: new Uint8Array([1]) }), {
    code: "InvalidArgument",
    message: /"runsc.Options": want one of/,
  });
  for (
    const typeUrl of ["containerd.runc.v1.Options", "runtimeoptions.v1.Options", "containerd.linux.runc.CreateOptions"]
  ) {
    const value = new Uint8Array([0x0a, 0xff]);
    await assert.rejects(requestedOptions({ typeUrl, value }), { code: "InvalidArgument", message: /are no / });
  }
});
