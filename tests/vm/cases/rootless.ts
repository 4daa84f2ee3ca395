/**
 * Containers of an ordinary user in the virtual machine: ids from subuid(5), and cgroups from his own service manager.
 *
 * @module
 */
import assert from "node:assert/strict";
import { rootlessSpec } from "../../../shim/oci/spec/default_spec.ts";
import type { Case } from "../case.ts";
import { writeGuestBundle } from "../guest_bundle.ts";
import { runtimes } from "./runtimes.ts";

const directory = "/guest/rootless";

/** Alice has a service manager, without a session. */
const prepare = `
mkdir -p ${directory}/rootfs; cp -r /guest/rootfs/bin /guest/rootfs/tmp ${directory}/rootfs; chown -R alice:alice ${directory}
grep -q alice /etc/subuid || { echo alice:100000:65536 >>/etc/subuid; echo alice:100000:65536 >>/etc/subgid; }
systemctl start user@1000.service
for i in $(seq 600); do test -S /run/user/1000/bus && exit; sleep 0.1; done; exit 1
`;

const scope = "/user.slice/user-1000.slice/user@1000.service/user.slice/runc-box.scope";

const life = `
cd ${directory}; C=/sys/fs/cgroup${scope}
export XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus HOME=/home/alice
$R --systemd-cgroup run --detach box </dev/null >out 2>err || cat err
for i in $(seq 600); do test "$(grep -c . out)" -ge 4 && break; sleep 0.1; done
tr -s ' ' <out; stat -c '%u:%g' rootfs/tmp/one rootfs/tmp/five; cat $C/memory.max $C/pids.max
$R exec box sh -c 'id -u; exit 3' </dev/null 2>&1; echo "code $?"
$R pause box 2>/dev/null; $R state box | grep -o paused; $R resume box 2>/dev/null; $R update --pids-limit 30 box; cat $C/pids.max
$R delete --force box; test -e $C && echo left
systemctl --user show runc-box.scope -p LoadState; $R list --quiet
rm rootfs/tmp/one; $R run plain </dev/null 2>err && echo ran; grep -c . err >/dev/null || echo no reason
`;

/** See the module. */
export const rootlessCases: readonly Case[] = [{
  name: "an ordinary user's container has ids from newuidmap and a scope of his own systemd, as with runc",
  async run(machine) {
    const script = "cat /proc/self/uid_map; id -u; touch /tmp/one; mknod /tmp/five p && chown 5:5 /tmp/five; echo; " +
      "echo end; exec sleep 1000";
    await writeGuestBundle(machine, directory, script, (spec) => {
      const rootless = rootlessSpec({ uid: 1000, gid: 1000 }, 2);
      // Both have all of the properties that a default has.
      spec.mounts = rootless.mounts!;
      spec.linux = rootless.linux!;
      spec.root.path = `${directory}/rootfs`;
      for (const mappings of [spec.linux.uidMappings!, spec.linux.gidMappings!]) {
        mappings.push({ containerID: 1, hostID: 100_000, size: 65_536 });
      }
      for (const set of ["bounding", "effective", "permitted"] as const) {
        spec.process.capabilities![set] = ["CAP_CHOWN", "CAP_MKNOD"];
      }
      spec.linux.resources = { memory: { limit: 50_003_968 }, pids: { limit: 20 } };
    });
    await machine.succeed(prepare);
    const said = new Map<string, string>();
    for (const [name, command] of runtimes.slice(0, 2)) {
      const user = `setpriv --reuid=1000 --regid=1000 --init-groups env R="${command}" bash`;
      const { stdout, stderr } = await machine.execute(
        `rm -rf ${directory}/rootfs/tmp/*; ${user} <<'END'\n${life}\nEND`,
        { seconds: 500 },
      );
      said.set(name, stdout + stderr);
    }
    assert.equal(
      said.get("barge"),
      " 0 1000 1\n 1 100000 65536\n0\n\nend\n1000:1000\n100004:100004\n50003968\n20\n0\ncode 3\npaused\n30\n" +
        "LoadState=not-found\n",
    );
    assert.equal(said.get("runc"), said.get("barge"));
  },
}];
