/**
 * A host that is a plain chroot, whose root is no mount point: no runtime can make a container there, and the sentence says what to
 * do.
 */
import assert from "node:assert/strict";
import { runtimeTest } from "../bundle.ts";
import { execute } from "../command.ts";

/** Shows the host's directories in another one, in mounts of its own, and calls a command there. */
const script = `
set -e
for name in bin lib lib64 usr proc sys dev tmp run; do
  if [ -d "/$name" ]; then mkdir "$1/$name"; mount --rbind "/$name" "$1/$name"; fi
done
[ -z "$2" ] || mount --rbind "$1" "$1"
directory=$1
shift 2
exec chroot "$directory" "$@"
`;

runtimeTest(
  "says that the root of a chroot is no mount point, and runs where it is one",
  async (bundle, runtime, scratch) => {
    await bundle.command("echo", "inside");
    const inChroot = (name: string, isMountPoint: boolean) => {
      const directory = Deno.makeTempDirSync({ dir: scratch.path });
      const words = [...runtime.command("run", "--bundle", bundle.path, scratch.id(name))];
      return execute(["unshare", "--mount", "sh", "-c", script, "sh", directory, isMountPoint ? "1" : "", ...words]);
    };
    const refused = await inChroot("c", false);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /is no mount point here, as in a chroot: bind the directory on itself/);
    const run = await inChroot("d", true);
    assert.deepEqual([run.code, run.stdout], [0, "inside\n"], run.stderr);
  },
  { only: "barge", programs: ["unshare", "chroot"] },
);
