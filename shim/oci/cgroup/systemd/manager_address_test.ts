import assert from "node:assert/strict";
import { managerAddress, requireSystemd } from "./manager_address.ts";

const whole = "         0          0 4294967295\n";

Deno.test("managerAddress() is the system's for the host's root, with the manager's own socket behind the bus", () => {
  assert.deepEqual(managerAddress({ uid: 0, uidMap: whole, environment: new Map() }), {
    user: false,
    uid: 0,
    sockets: [{ path: "/run/dbus/system_bus_socket", isBus: true }, { path: "/run/systemd/private", isBus: false }],
  });
});

Deno.test("managerAddress() is the user's own for anyone else, root of a user namespace included", () => {
  const runtime = new Map([["XDG_RUNTIME_DIR", "/run/user/7"]]);
  const bus = { user: true, uid: 7, sockets: [{ path: "/run/user/7/bus", isBus: true }] };
  assert.deepEqual(managerAddress({ uid: 7, uidMap: whole, environment: runtime }), bus);
  assert.deepEqual(managerAddress({ uid: 0, uidMap: "0 7 1\n1 100000 65536\n", environment: new Map() }), bus);
  const environment = new Map([["DBUS_SESSION_BUS_ADDRESS", "unix:path=/x,guid=1"], ...runtime]);
  assert.deepEqual(managerAddress({ uid: 7, uidMap: whole, environment }).sockets, [{ path: "/x", isBus: true }]);
});

Deno.test("requireSystemd() refuses in runc's words where systemd does not run", () => {
  requireSystemd("/");
  for (const directory of ["/dev/null", "/nonexistent/systemd"]) {
    assert.throws(() => requireSystemd(directory), {
      message: "systemd not running on this host, cannot use systemd cgroups manager",
    });
  }
});
