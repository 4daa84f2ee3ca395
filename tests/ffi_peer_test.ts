/**
 * Syscall programs as strace sees them: what a printed program says is what the kernel is asked.
 */
import assert from "node:assert/strict";
import { hostArch } from "../ffi/arch.ts";
import { programElf } from "../ffi/elf/program_elf.ts";
import { formatProgram } from "../ffi/program/format.ts";
import { flag, Program, textArray } from "../ffi/program/program.ts";
import { needing } from "./peers.ts";

/** strace may be there and yet not be allowed to trace, as in some containers. */
async function canTrace(): Promise<boolean> {
  try {
    return (await new Deno.Command("strace", { args: ["-o", "/dev/null", "true"], stderr: "null" }).output()).success;
  } catch {
    return false; // Not installed, which `needing` says by itself.
  }
}

Deno.test({
  ...needing("formatProgram() prints what strace sees when the program runs", {
    peers: ["strace"],
    other: await canTrace() ? undefined : "strace may not trace here",
  }),
  async fn() {
    const directory = await Deno.makeTempDir();
    try {
      const program = new Program();
      const does = "be seen";
      program.add({ call: "chdir", args: [directory], does });
      program.add({ call: "mkdirat", args: [flag("AT_FDCWD"), "a\tb", 0o751], does });
      program.add({
        call: "openat",
        args: [flag("AT_FDCWD"), "missing", flag("O_RDONLY", "O_NOFOLLOW", "O_CLOEXEC")],
        does,
        allow: ["ENOENT"],
      });
      program.add({ call: "umask", args: [0o27], does });
      program.add({ call: "setpgid", args: [0, 0], does });
      program.add({ call: "execve", args: ["/no/such", textArray(["such", "a b"]), textArray([])], does });
      const path = `${directory}/program`;
      await Deno.writeFile(path, programElf(program, hostArch));
      await Deno.chmod(path, 0o755);
      const { code, stderr } = await new Deno.Command("strace", {
        args: ["-v", "-e", "quiet=all", "-e", "signal=none", "-o", `${directory}/trace`, path],
        stdin: "null",
      }).output();
      assert.equal(code, 127, new TextDecoder().decode(stderr)); // No such program: its last step fails.
      const seen = (await Deno.readTextFile(`${directory}/trace`)).trimEnd().split("\n")
        .map((line) => line.replace(/\s+= .*$/, ""));
      assert.match(seen[0]!, /^execve\(/);
      assert.equal(seen.at(-1), "exit_group(127)");
      const printed = formatProgram(program).split("\n").filter((line) => line.startsWith("  "))
        .map((line) => line.trim().replace(/ \[.*\]$/, ""));
      assert.deepEqual(seen.slice(1, -1), printed);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
