/**
 * AppArmor profiles in the virtual machine's kernel.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Case } from "../case.ts";
import { writeGuestBundle } from "../guest_bundle.ts";
import type { Machine } from "../machine.ts";
import { runtimes } from "./runtimes.ts";

/** Like Docker's default, with a file that nobody may read. */
const profile = `#include <tunables/global>
profile guest-box flags=(attach_disconnected,mediate_deleted) {
  network,
  capability,
  file,
  umount,
  signal (receive) peer=unconfined,
  signal (send,receive) peer=guest-box,
  ptrace (trace,read) peer=guest-box,
  deny mount,
  deny @{PROC}/sysrq-trigger rwklx,
  deny /sys/[^f]*/** wklx,
  deny /etc/secret rwklx,
}
`;

/** Loads the profile `guest-box`; one that is loaded stays the same. */
export async function loadProfile(machine: Machine): Promise<void> {
  await machine.succeed("mkdir -p /guest");
  await machine.write("/guest/profile", profile);
  await machine.succeed("apparmor_parser --replace --skip-cache /guest/profile");
}

/** See the module. */
export const apparmorCases: readonly Case[] = [{
  name: "an AppArmor profile holds for the first process and for exec, as with runc and crun",
  async run(machine) {
    await loadProfile(machine);
    const script = "cat /proc/self/attr/current /etc/secret; exec sleep 1000";
    await writeGuestBundle(machine, "/guest/apparmor", script, (spec) => {
      spec.process.apparmorProfile = "guest-box";
    });
    for (const [name, command] of runtimes) {
      const { stdout } = await machine.execute(
        `cd /guest/apparmor; R="${command}"; $R run -d armored </dev/null >out 2>&1; ` +
          "for i in $(seq 600); do test $(grep -c . out) -ge 2 && break; sleep 0.1; done; cat out; " +
          "$R exec armored cat /proc/self/attr/current; $R exec armored cat /etc/secret 2>&1; $R delete --force armored",
      );
      const label = "guest-box \\(enforce\\)\\n";
      const denied = "cat: can't open '/etc/secret': Permission denied\\n";
      assert.match(stdout, new RegExp(`^${label}${denied}${label}${denied}`), name);
    }
  },
}, {
  name: "a profile that is not loaded is refused in runc's words",
  async run(machine) {
    await writeGuestBundle(machine, "/guest/unknown", "true", (spec) => {
      spec.process.apparmorProfile = "guest-unknown";
    });
    for (const [name, command] of runtimes.slice(0, 2)) {
      const { code, stderr } = await machine.execute(`cd /guest/unknown; ${command} run unknown </dev/null`);
      assert.equal(code, 1);
      const words =
        /unable to apply apparmor profile: apparmor failed to apply profile: write .*: no such file or directory/;
      assert.match(stderr, words, name);
    }
  },
}];
