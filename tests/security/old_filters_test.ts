/**
 * Filters of system calls that know the container's program and not the runtime: whoever wrote one years ago, or for one
 * program alone, wants it to start.
 */
import assert from "node:assert/strict";
import { defaultSeccomp } from "../../cli/run/default_seccomp.ts";
import { resolveProfile } from "../../cli/run/seccomp_profile.ts";
import { hostArch } from "../../ffi/arch.ts";
import { programElf } from "../../ffi/elf/program_elf.ts";
import { numbers } from "../../ffi/gen/syscalls_x86_64.ts";
import { Program, text } from "../../ffi/program/program.ts";
import type { Seccomp } from "../../api/oci/runtime_spec.ts";
import { type Bundle, runtimeTest } from "../bundle.ts";

const actions = ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"] as const;
const architectures = [hostArch === "x86_64" ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64"];

/** All that the program below calls, and a call of a high number: those above the last one named get ENOSYS, as with runc. */
const ofTheProgram = ["execve", "write", "exit_group", "process_mrelease"];
/** What runc calls as well behind a filter that it could load by a capability alone, and while it waits for a start. */
const withoutNoNewPrivileges = ["capset", "read"];

/** A program that says so when it runs, and does nothing else. */
function saysRan(): Uint8Array<ArrayBuffer> {
  const program = new Program();
  program.add({ call: "write", args: [1, text("ran\n"), 4], does: "say so", allow: "any" });
  program.add({ call: "exit_group", args: [0], does: "end" });
  return programElf(program, hostArch);
}

async function prepare(bundle: Bundle, noNewPrivileges: boolean, seccomp: Seccomp, user = 0): Promise<void> {
  await Deno.writeFile(`${bundle.rootfs}/bin/ran`, saysRan(), { mode: 0o755 });
  await bundle.edit((spec) => {
    spec.process.args = ["ran"];
    spec.process.noNewPrivileges = noNewPrivileges;
    spec.process.user = { uid: user, gid: user, ...(user === 0 ? {} : { additionalGids: [7, 8] }) };
    spec.linux.seccomp = seccomp;
  });
}

for (const noNewPrivileges of [true, false]) {
  for (const user of [0, 1000]) {
    const what = `${noNewPrivileges ? "with" : "without"} no_new_privs, as user ${user}`;
    runtimeTest(
      `a filter that allows its program alone is enough to run it, ${what}`,
      async (bundle, runtime, scratch) => {
        const names = [...ofTheProgram, ...noNewPrivileges ? [] : withoutNoNewPrivileges];
        for (const defaultAction of actions) {
          const rule = { names, action: "SCMP_ACT_ALLOW" };
          await prepare(bundle, noNewPrivileges, { defaultAction, architectures, syscalls: [rule] } as Seccomp, user);
          const id = scratch.id(defaultAction.toLowerCase());
          const run = await runtime.execute(["run", "--bundle", bundle.path, id]);
          assert.deepEqual([run.code, run.stdout], [0, "ran\n"], `${defaultAction}: ${run.stderr}`);
          const output = `${scratch.path}/output`;
          const created = await runtime.detached(output, ["create", "--bundle", bundle.path, id]);
          assert.equal(created.code, 0, `${defaultAction}: ${created.stderr}`);
          await runtime.succeed(["start", id]);
          await runtime.reaches(id, "stopped");
          assert.equal(await Deno.readTextFile(output), "ran\n");
          await runtime.succeed(["delete", id]);
        }
      },
      { only: "barge" },
    );
  }

  runtimeTest(
    `a filter that allows its program alone lets others join, ${noNewPrivileges}`,
    async (bundle, runtime, scratch) => {
      const names = [...ofTheProgram, ...noNewPrivileges ? [] : withoutNoNewPrivileges, "ppoll"];
      for (const defaultAction of actions) {
        const rule = { names, action: "SCMP_ACT_ALLOW" };
        await prepare(bundle, noNewPrivileges, { defaultAction, architectures, syscalls: [rule] } as Seccomp);
        await Deno.writeFile(`${bundle.rootfs}/bin/waits`, waits(), { mode: 0o755 });
        await bundle.command("waits");
        const id = scratch.id(defaultAction.toLowerCase());
        const started = await runtime.detached(`${scratch.path}/output`, ["run", "-d", "--bundle", bundle.path, id]);
        assert.equal(started.code, 0, `${defaultAction}: ${started.stderr}`);
        for (const flags of [[], ["--tty"], ["--user", "1000:1000"], ["--cap", "CAP_SYS_ADMIN"]]) {
          const joined = await runtime.execute(["exec", ...flags, id, "ran"]);
          assert.deepEqual(
            [joined.code, joined.stdout.trim()],
            [0, "ran"],
            `${defaultAction} ${flags}: ${joined.stderr}`,
          );
        }
        await runtime.succeed(["delete", "--force", id]);
      }
    },
    { only: "barge" },
  );
}

/** A program that waits for a signal. */
function waits(): Uint8Array<ArrayBuffer> {
  const program = new Program();
  program.add({ call: "ppoll", args: [0, 0, 0, 0, 8], does: "wait" });
  program.add({ call: "exit_group", args: [0], does: "end" });
  return programElf(program, hostArch);
}

runtimeTest(
  "what a strict filter hides of a command that cannot be executed is told all the same",
  async (bundle, _runtime, scratch) => {
    await Deno.writeTextFile(`${bundle.rootfs}/bin/broken`, "#!/no/such/interpreter\n", { mode: 0o755 });
    const rule = { names: ofTheProgram, action: "SCMP_ACT_ALLOW" };
    await prepare(bundle, true, { defaultAction: "SCMP_ACT_KILL", architectures, syscalls: [rule] } as Seccomp);
    await bundle.command("/bin/broken");
    const { code, stderr } = await _runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
    assert.equal(code, 1);
    assert.match(stderr, /exec \/bin\/broken: no such file or directory/);
  },
  { only: "barge" },
);

/** The last call of Linux 4.5, when docker's profile was new. */
const lastOf2016 = numbers.copy_file_range;

for (const noNewPrivileges of [true, false]) {
  runtimeTest(
    `a profile of 2016 runs and joins a shell, ${noNewPrivileges ? "with" : "without"} no_new_privs`,
    async (bundle, runtime, scratch) => {
      // As docker wrote it for a container with its default capabilities: one rule for each name, and EPERM for others.
      const names = resolveProfile(defaultSeccomp(), {
        arch: "x86_64",
        capabilities: ["CAP_CHOWN", "CAP_SYS_CHROOT", "CAP_AUDIT_WRITE"],
        kernel: "4.5",
      }).syscalls!.filter(({ action, args }) => action === "SCMP_ACT_ALLOW" && (args ?? []).length === 0)
        .flatMap((rule) => rule.names)
        .filter((name) => name in numbers && numbers[name as keyof typeof numbers] <= lastOf2016);
      assert.ok(names.length > 250 && !names.includes("close_range") && !names.includes("openat2"));
      for (const defaultAction of ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL"] as const) {
        const syscalls = [...names, "clone", "personality"].map((name) => ({
          names: [name],
          action: "SCMP_ACT_ALLOW",
        }));
        await bundle.edit((spec) => {
          spec.process.noNewPrivileges = noNewPrivileges;
          spec.process.args = ["sh", "-c", "id -u; exec sleep 1000"];
          spec.process.user = { uid: 1000, gid: 1000 };
          spec.linux.seccomp = { defaultAction, architectures, syscalls } as Seccomp;
        });
        // Go's runtime calls newer ones by itself.
        if (runtime.name === "runc" && defaultAction === "SCMP_ACT_KILL") continue;
        const id = scratch.id(defaultAction.toLowerCase());
        const output = `${scratch.path}/output`;
        const started = await runtime.detached(output, ["run", "-d", "--bundle", bundle.path, id]);
        assert.equal(started.code, 0, `${defaultAction}: ${started.stderr}`);
        const joined = await runtime.execute(["exec", id, "sh", "-c", "echo joined as $(id -u)"]);
        assert.deepEqual([joined.code, joined.stdout], [0, "joined as 1000\n"], `${defaultAction}: ${joined.stderr}`);
        assert.equal(await Deno.readTextFile(output), "1000\n");
        await runtime.succeed(["delete", "--force", id]);
      }
    },
    hostArch === "x86_64" ? {} : { programs: ["an x86_64 machine"] },
  );
}
