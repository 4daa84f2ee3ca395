import assert from "node:assert/strict";
import { needing } from "../../tests/peers.ts";
import { type Arch, hostArch } from "../arch.ts";
import { helloElf } from "./hello.ts";
import { launcherElf } from "./launcher.ts";

const arches = ["x86_64", "aarch64"] as const satisfies Arch[];

async function run(command: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const { code, stdout } = await new Deno.Command(command, { args, stdin: "null", stderr: "inherit" }).output();
  return { code, text: new TextDecoder().decode(stdout) };
}

/** Writes the bytes as an executable for as long as `use` takes. */
async function withFile<T>(bytes: Uint8Array, use: (path: string, directory: string) => Promise<T>): Promise<T> {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${directory}/program`, bytes);
    await Deno.chmod(`${directory}/program`, 0o755);
    return await use(`${directory}/program`, directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

for (const arch of arches) {
  for (const [name, bytes] of [["helloElf", helloElf(arch)], ["launcherElf", launcherElf(arch)]] as const) {
    Deno.test({
      ...needing(`${name}() is a static executable for ${arch} without a piece that can be written and executed`, {
        peers: ["binutils"],
      }),
      async fn() {
        const { text } = await withFile(bytes, (path) => run("readelf", "--wide", "--file-header", "--segments", path));
        assert.match(text, arch === "x86_64" ? /Machine:\s+Advanced Micro Devices X86-64/ : /Machine:\s+AArch64/);
        assert.match(text, /Type:\s+EXEC/);
        assert.doesNotMatch(text, /INTERP|DYNAMIC/);
        const loads = [...text.matchAll(/^\s+LOAD\s+(\w+) (\w+) \w+ \w+ \w+ (.{3}) (\w+)/gm)];
        assert.deepEqual(loads.map(([, , , access]) => access), ["R E", "RW "]);
        for (const [, offset, address, , align] of loads) {
          // Pages of aarch64 may have 64 KiB: place in the file and in memory must agree in their low 16 bits.
          assert.equal(Number(align), 0x10000);
          assert.equal(Number(BigInt(address!) % 0x10000n), Number(offset) % 0x10000);
        }
        const pages = loads.map(([, , address]) => BigInt(address!) / 0x10000n);
        assert.notEqual(pages[0], pages[1]);
      },
    });
  }

  const emulator = arch === hostArch ? [] : [`qemu-${arch}-static`];
  const peers = arch === hostArch ? [] : ["qemu-user-static" as const];

  Deno.test({
    ...needing(`helloElf() tells what it sees, on ${arch}`, { peers }),
    async fn() {
      const { code, text } = await withFile(helloElf(arch), (path) => {
        const [command, ...args] = [...emulator, path];
        return run(command!, ...args);
      });
      assert.equal(code, 0);
      assert.match(text, /^Hello from a container/);
      assert.ok(text.includes(Deno.hostname()), text);
      assert.ok(text.includes(Deno.readLinkSync("/proc/self/ns/net")), text);
      assert.match(text, /process id +\d+/);
      assert.match(text, /barge run/);
    },
  });

  Deno.test(`helloElf() gives the same bytes every time, on ${arch}`, () => {
    assert.deepEqual(helloElf(arch), helloElf(arch));
  });
}

Deno.test({
  ...needing("helloElf() says hello also where /proc is missing", { root: true }),
  async fn() {
    const { code, text } = await withFile(helloElf(hostArch), (_, directory) => run("chroot", directory, "/program"));
    assert.equal(code, 0);
    assert.match(text, /process id +\?/);
    assert.match(text, /barge run/);
  },
});
