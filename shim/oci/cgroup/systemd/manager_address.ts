/**
 * Where the service manager is, and whether there is one.
 *
 * @module
 */
import { Failure } from "../../../../api/errors.ts";
import { socketPaths } from "../../../dbus/address.ts";

/** What is to be known of this process and its host. */
export interface ManagerFacts {
  /** Effective user id. */
  uid: number;
  /** The text of `/proc/self/uid_map`. */
  uidMap: string;
  environment: ReadonlyMap<string, string>;
}

/** How to reach a service manager. */
export interface ManagerAddress {
  /** Whether it is a user's own. */
  user: boolean;
  /** Who we are to the bus: in a user namespace, the user outside of it. */
  uid: number;
  /** Sockets to try in order. One that is no bus's is the manager's own. */
  sockets: readonly { path: string; isBus: boolean }[];
}

/** The manager's own socket, for root; there while the bus is not, as it is early and late in the system's life. */
const privateSocket = "/run/systemd/private";

/**
 * The system's manager for the host's root; for anyone else, root of a user namespace included, that of the user.
 * Throws `InvalidArgument` for a bus's address in the environment that is none.
 */
export function managerAddress({ uid, uidMap, environment }: ManagerFacts): ManagerAddress {
  const outer = outerId(uid, uidMap);
  const user = outer !== 0;
  if (user) {
    const address = environment.get("DBUS_SESSION_BUS_ADDRESS") ||
      `unix:path=${environment.get("XDG_RUNTIME_DIR") || `/run/user/${outer}`}/bus`;
    return { user, uid: outer, sockets: socketPaths(address).map((path) => ({ path, isBus: true })) };
  }
  const address = environment.get("DBUS_SYSTEM_BUS_ADDRESS") || "unix:path=/run/dbus/system_bus_socket";
  const buses = socketPaths(address).map((path) => ({ path, isBus: true }));
  return { user, uid: outer, sockets: [...buses, { path: privateSocket, isBus: false }] };
}

/** What the user is called outside of this user namespace. */
function outerId(uid: number, uidMap: string): number {
  for (const line of uidMap.split("\n")) {
    const [inner, outer, size] = line.trim().split(/\s+/).map(Number);
    if (inner === undefined || outer === undefined || size === undefined) continue;
    if (uid >= inner && uid < inner + size) return outer + uid - inner;
  }
  return uid;
}

/**
 * Throws `FailedPrecondition` in runc's words where systemd is not the host's service manager (sd_booted(3)). `directory` is
 * the one that tells.
 */
export function requireSystemd(directory = "/run/systemd/system"): void {
  try {
    if (Deno.lstatSync(directory).isDirectory) return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  throw new Failure("FailedPrecondition", "systemd not running on this host, cannot use systemd cgroups manager");
}
