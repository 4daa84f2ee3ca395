/**
 * A Debian that has nothing but what it cannot do without, Node, and a clone of the tree.
 *
 * @module
 */
import { wantDebianSource } from "../../tests/debian_source.ts";

/** What the README presumes: Node with its `npx`, and certificates by which npm's registry is known. */
const packages = ["npm", "ca-certificates"];

/** Where the clone lies. */
export const clonePath = "/barge";

/** Certificates of authorities that an administrator has added, and npm's settings: how this host reaches registries. */
const carried = ["/usr/local/share/ca-certificates", "/etc/npmrc"];

async function run(words: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  const [program, ...args] = words;
  const { success, stdout, stderr } = await new Deno.Command(program!, {
    args,
    stdin: "null",
    env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" },
    ...options,
  }).output();
  const decoder = new TextDecoder();
  if (!success) {
    throw new Error(`${words.join(" ")}: ${decoder.decode(stderr).trim().split("\n").slice(-5).join("\n")}`);
  }
  return decoder.decode(stdout);
}

/** Fills an empty directory. Throws with the last lines of what has failed. */
export async function makeRoot(tree: string, directory: string): Promise<void> {
  const { mirror, suite } = await wantDebianSource();
  await run(["debootstrap", "--variant=minbase", suite, directory, mirror]);
  // It is the machine's root, which other users enter as well.
  await Deno.chmod(directory, 0o755);
  for (const path of carried) {
    try {
      await Deno.stat(path);
    } catch {
      continue; // This host has none.
    }
    await Deno.mkdir(`${directory}${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await run(["cp", "-rT", path, `${directory}${path}`]);
  }
  await Deno.copyFile("/etc/resolv.conf", `${directory}/etc/resolv.conf`);
  const apt = (...words: string[]) => run(["chroot", directory, "apt-get", "-y", "-qq", ...words]);
  await apt("install", "--no-install-recommends", ...packages);
  await run(["chroot", directory, "update-ca-certificates"]);
  await run(["git", "clone", "--quiet", "--no-hardlinks", tree, `${directory}${clonePath}`]);
}
