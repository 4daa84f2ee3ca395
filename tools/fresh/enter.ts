/**
 * Runs commands in a directory as if it were a machine: it is the root of mount and process namespaces of its own. The network is
 * the host's.
 *
 * @module
 */
import { clonePath } from "./root.ts";

/**
 * The directory becomes a mount point first: nothing can be cut off from the host's mounts, nor become the root, that is none.
 */
const script = `
set -e
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l .old
rmdir .old
shift
exec "$@"
`;

/** How this host reaches registries. */
const carried = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/** Runs the command in the clone, with an environment of its own; gives its exit code. */
export async function enter(directory: string, command: string): Promise<number> {
  const given = carried.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [`${name}=${value}`];
  });
  const environment = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ...["HOME=/root", "LC_ALL=C.UTF-8", "NO_COLOR=1", "DENO_TLS_CA_STORE=system,mozilla"],
    ...given,
  ];
  // The shell stays: as the first process it takes in orphans, whom Node would leave as zombies that hold their containers.
  const inside = ["env", "-i", ...environment, "sh", "-c", `cd ${clonePath} && ${command}; exit $?`];
  const { code } = await new Deno.Command("unshare", {
    args: ["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", directory, ...inside],
    stdin: "null",
  }).spawn().status;
  return code;
}

/** Throws where something of the directory is still mounted on the host, which must then not be removed. */
export function leave(directory: string): void {
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n").map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path === directory || path.startsWith(`${directory}/`));
  if (mounts.length > 0) throw new Error(`still mounted: ${mounts.join(", ")}`);
}
