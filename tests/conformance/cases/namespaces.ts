/**
 * Namespaces: made, joined, shared; and the names of the machine in them.
 *
 * @module
 */
import type { NamespaceType } from "../../../api/oci/runtime_spec.ts";
import { type Case, type FullSpec, inside, type Place, refused } from "../case.ts";

/** Type → its name below `/proc/self/ns`. */
const links: Readonly<Record<Exclude<NamespaceType, "user" | "time">, string>> = {
  pid: "pid",
  network: "net",
  mount: "mnt",
  ipc: "ipc",
  uts: "uts",
  cgroup: "cgroup",
};
// The keys of the table above.
const types = Object.keys(links) as (keyof typeof links)[];

/** A type's entry left out, or replaced. */
function setNamespace(spec: FullSpec, type: NamespaceType, entry?: { path?: string }): void {
  const others = spec.linux.namespaces!.filter((one) => one.type !== type);
  spec.linux.namespaces = entry === undefined ? others : [...others, { type, ...entry }];
}

/** Compares with the test's own namespace. */
const own = (type: keyof typeof links, wants: boolean) => (text: string) => {
  const host = Deno.readLinkSync(`/proc/self/ns/${links[type]}`);
  if ((text.trim() === host) !== wants) throw new Error(`${text.trim()}, and the host's is ${host}`);
};

const look = (type: keyof typeof links) => `readlink /proc/self/ns/${links[type]}`;

/** What a container without a namespace of this kind must not want. */
function leaveOut(spec: FullSpec, type: NamespaceType): void {
  setNamespace(spec, type);
  if (type === "uts") delete spec.hostname;
}

const made = types.map((type): Case =>
  inside(`a namespace of type ${type} is a new one`, look(type), own(type, false), {
    change: (spec) => setNamespace(spec, type, {}),
  })
);

const shared = types.filter((type) => type !== "mount").map((type): Case =>
  inside(`without an entry the ${type} namespace is the caller's`, look(type), own(type, true), {
    change: (spec) => leaveOut(spec, type),
  })
);

/** Joins the namespace of the test's own process by its path. */
const joined = types.filter((type) => type !== "mount" && type !== "pid").map((type): Case =>
  inside(`a path joins the ${type} namespace`, look(type), own(type, true), {
    change: (spec) => {
      leaveOut(spec, type);
      setNamespace(spec, type, { path: `/proc/${Deno.pid}/ns/${links[type]}` });
    },
    ...(type === "cgroup" ? { except: { runc: "runc 1.1 knows no path for cgroup namespaces" } } : {}),
  })
);

/** Cases of `linux.namespaces`, `hostname` and `domainname`. */
export const namespaceCases: readonly Case[] = [
  ...made,
  ...shared,
  ...joined,
  inside("the first process of a pid namespace is number 1", "echo $$; ls -d /proc/[0-9]* | wc -l", /^1\n[1-4]\n$/),
  inside(
    "a new network namespace has lo, and it is up",
    "ip -o link | wc -l; ip -o link | grep -c 'lo: <LOOPBACK,UP'",
    "1\n1",
  ),
  inside("the host name is the spec's", "hostname", "other-name.example", {
    change: (spec) => spec.hostname = "other-name.example",
  }),
  inside("without a host name it stays the caller's", "hostname", (text) => {
    if (text.trim() !== Deno.hostname()) throw new Error(text);
  }, { change: (spec) => delete spec.hostname }),
  inside("the domain name is the spec's", "cat /proc/sys/kernel/domainname", "example.org", {
    change: (spec) => spec.domainname = "example.org",
    except: { runc: "runc 1.1 has no domainname" },
  }),
  refused("a host name without a uts namespace is refused", (spec) => setNamespace(spec, "uts"), /uts/i),
  refused("a namespace that is there twice is refused", (spec) => {
    spec.linux.namespaces!.push({ type: "ipc" });
  }, /ipc|duplicate/i),
  refused("an unknown namespace is refused", (spec) => {
    // A type that the specification does not have.
    spec.linux.namespaces!.push({ type: "galaxy" as NamespaceType });
  }, /galaxy/),
  refused("a path that does not exist is refused", (spec) => {
    setNamespace(spec, "network", { path: "/no/such/namespace" });
  }, /\/no\/such\/namespace|no such file/),
  refused("a path of another type is refused", (spec) => {
    setNamespace(spec, "network", { path: `/proc/${Deno.pid}/ns/uts` });
  }, /net|setns|invalid/i),
  refused("masked paths without a mount namespace are refused", (spec) => {
    setNamespace(spec, "mount");
    spec.linux.readonlyPaths = [];
  }, /mount namespace|MNT namespace/i),
  refused(
    "mappings without a user namespace are refused",
    (spec) => {
      spec.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 1 }];
      spec.linux.gidMappings = [{ containerID: 0, hostID: 0, size: 1 }];
    },
    /user/i,
    { except: { runc: "runc 1.1 leaves them out without a word" } },
  ),
  refused(
    "a user namespace without mappings is refused",
    (spec) => {
      spec.linux.namespaces!.push({ type: "user" });
    },
    /mapping/i,
    { except: { runc: "runc 1.1 sees it only when the kernel refuses the process" } },
  ),
  inside(
    "a user namespace maps ids",
    "tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/self/gid_map; id -u",
    (text) => {
      if (text.replaceAll(/ +/g, " ") !== " 0 100000 2000\n 0 200000 3000\n0\n") throw new Error(text);
    },
    { prepare: giveRoot, change: mapUsers },
  ),
  inside("setgroups works in a user namespace that root made", "cat /proc/self/setgroups; id -G", "allow\n0 5 6", {
    prepare: giveRoot,
    change: (spec) => {
      mapUsers(spec);
      spec.process.user.additionalGids = [5, 6];
    },
  }),
  inside("devices work in a user namespace", "head -c 3 /dev/zero | wc -c; echo x > /dev/null && echo ok", "3\nok", {
    prepare: giveRoot,
    change: mapUsers,
  }),
];

/** Gives the root file system to the user that a user namespace's root is outside; the programs stay as they are. */
function giveRoot({ rootfs }: Place): void {
  for (const name of ["", "/etc", "/tmp", "/root", "/proc", "/sys", "/dev"]) {
    Deno.chownSync(`${rootfs}${name}`, 100_000, 200_000);
  }
}

function mapUsers(spec: FullSpec): void {
  spec.linux.namespaces!.push({ type: "user" });
  spec.linux.uidMappings = [{ containerID: 0, hostID: 100_000, size: 2000 }];
  spec.linux.gidMappings = [{ containerID: 0, hostID: 200_000, size: 3000 }];
}
