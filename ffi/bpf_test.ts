import { deepEqual, equal, throws } from "node:assert/strict";
import { attachDeviceProgram, attachedDevicePrograms, bpfNumbers, bpfOffsets } from "./bpf.ts";
import { detachDeviceProgram, loadDeviceProgram } from "./bpf.ts";
import { flags } from "./constants.ts";
import { type Descriptor, openFile } from "./descriptor.ts";
import { isErrno } from "./errno.ts";

/** Where version 2 is mounted and may be written, or the reason why not. */
function unifiedMount(): { path: string } | { missing: string } {
  if (Deno.uid() !== 0) return { missing: "needs root" };
  const path = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((each) => exists(`${each}/cgroup.subtree_control`));
  if (path === undefined) return { missing: "needs a mounted cgroup version 2" };
  try {
    const probe = `${path}/barge-probe-${crypto.randomUUID()}`;
    Deno.mkdirSync(probe);
    Deno.removeSync(probe);
    return { path };
  } catch {
    return { missing: `needs to write to ${path}` };
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

const mount = unifiedMount();
const why = "missing" in mount ? ` (ignored: ${mount.missing})` : "";

/** A program that answers the same for every device. */
function constantProgram(verdict: 0 | 1): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(0xb4, 0, 0, 0, verdict, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
}

/** Gives the test an open directory of a cgroup of its own. */
function withCgroup(test: (directory: Descriptor, path: string) => void): void {
  const path = `${"path" in mount ? mount.path : ""}/barge-test-${crypto.randomUUID()}`;
  Deno.mkdirSync(path);
  try {
    using directory = openFile(path, flags("O_RDONLY", "O_DIRECTORY"));
    test(directory, path);
  } finally {
    Deno.removeSync(path);
  }
}

/** Whether a process inside the cgroup can open /dev/null. */
function opens(path: string): boolean {
  const script = `echo 0 > ${path}/cgroup.procs && exec 3< /dev/null`;
  return new Deno.Command("sh", { args: ["-c", script], stderr: "piped" }).outputSync().success;
}

Deno.test({
  name: `attachDeviceProgram() forbids and detachDeviceProgram() gives back${why}`,
  ignore: why !== "",
  fn: () =>
    withCgroup((directory, path) => {
      equal(opens(path), true);
      using program = loadDeviceProgram(constantProgram(0));
      attachDeviceProgram(directory.number, program.number);
      equal(opens(path), false);
      detachDeviceProgram(directory.number, program.number);
      equal(opens(path), true);
      throws(() => detachDeviceProgram(directory.number, program.number), (error) => isErrno(error, "ENOENT"));
    }),
});

Deno.test({
  name: `attachDeviceProgram() replaces the program that attachedDevicePrograms() tells of${why}`,
  ignore: why !== "",
  fn: () =>
    withCgroup((directory, path) => {
      deepEqual(attachedDevicePrograms(directory.number), []);
      {
        using deny = loadDeviceProgram(constantProgram(0));
        attachDeviceProgram(directory.number, deny.number);
      }
      equal(opens(path), false);
      const [old, ...others] = attachedDevicePrograms(directory.number);
      equal(others.length, 0);
      using allow = loadDeviceProgram(constantProgram(1));
      attachDeviceProgram(directory.number, allow.number, old!.number);
      old!.close();
      equal(opens(path), true);
      const now = attachedDevicePrograms(directory.number);
      equal(now.length, 1);
      now[0]!.close();
    }),
});

Deno.test({
  name: `loadDeviceProgram() throws the verifier's refusal${why}`,
  ignore: why !== "",
  fn: () => {
    // An exit without a verdict.
    const code = Uint8Array.of(0x95, 0, 0, 0, 0, 0, 0, 0);
    throws(() => loadDeviceProgram(code), (error) => isErrno(error, "EACCES", "EINVAL"));
  },
});

const compiler = "/usr/bin/gcc";
const noCompiler = exists(compiler) && exists("/usr/include/linux/bpf.h")
  ? ""
  : " (ignored: needs gcc and linux-libc-dev)";

Deno.test({
  name: `bpfNumbers and bpfOffsets are those of linux/bpf.h${noCompiler}`,
  ignore: noCompiler !== "",
  fn: () => {
    const asserts = [
      ...Object.entries(bpfNumbers).map(([name, value]) => `${name} == ${value}`),
      ...Object.entries(bpfOffsets).map(([field, value]) => `offsetof(union bpf_attr, ${field}) == ${value}`),
    ];
    const source = `#include <stddef.h>\n#include <linux/bpf.h>\n` +
      asserts.map((text) => `_Static_assert(${text}, "${text}");\n`).join("");
    const directory = Deno.makeTempDirSync();
    try {
      Deno.writeTextFileSync(`${directory}/check.c`, source);
      const args = ["-fsyntax-only", `${directory}/check.c`];
      const { success, stderr } = new Deno.Command(compiler, { args, stderr: "piped" }).outputSync();
      equal(success, true, new TextDecoder().decode(stderr));
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
});
