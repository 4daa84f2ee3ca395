/** A container whose root is moved over the host's, which stays below it: nothing of that is in reach. */
import assert from "node:assert/strict";
import { runtimeTest } from "../bundle.ts";
import { execute } from "../command.ts";

runtimeTest(
  "--no-pivot leaves no proc of the host in reach, neither a second one nor a covered one",
  async (bundle, runtime, scratch) => {
    await bundle.edit((spec) => {
      // A user namespace may mount a proc where a whole one is visible; the container's own has masked parts.
      const attack =
        "unshare -mrpf sh -c 'mount -t proc none /proc && echo revealed'; mount | grep -c ' / '; ls /proc/1/exe";
      spec.process.args = ["sh", "-c", attack];
      spec.process.user = { uid: 1000, gid: 1000 };
      spec.process.capabilities = {};
    });
    const [second, hidden] = [`${scratch.path}/second`, `${scratch.path}/hidden`];
    await Deno.mkdir(second);
    await Deno.mkdir(`${hidden}/proc`, { recursive: true });
    // The host's mounts, in a mount namespace that ends with the test.
    const prepare =
      'mount -t proc proc "$1"; mount -t proc proc "$2/proc"; mount -t tmpfs none "$2"; shift 2; exec "$@"';
    const run = runtime.command("run", "--no-pivot", "--bundle", bundle.path, scratch.id("c"));
    const { code, stdout, stderr } = await execute([
      "unshare",
      "-m",
      "sh",
      "-c",
      prepare,
      "sh",
      second,
      hidden,
      ...run,
    ]);
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "1\n/proc/1/exe\n", stderr);
    assert.match(stderr, /mount: mounting none on \/proc failed: Operation not permitted|permission denied/i);
    // runc 1.1.5 reveals it.
  },
  { only: "barge" },
);

runtimeTest(
  "--no-pivot detaches nothing of the host's own, also where mounts are shared with it",
  async (bundle, runtime, scratch) => {
    await bundle.edit((spec) => {
      spec.process.args = ["true"];
      spec.linux.rootfsPropagation = "rshared";
    });
    const place = `${scratch.path}/place`;
    await Deno.mkdir(place);
    const script = 'mount --make-rshared /; mount -t tmpfs none "$1"; place=$1; shift; ' +
      '"$@" || exit 1; mountpoint -q /proc && mountpoint -q /sys && mountpoint "$place"';
    const run = runtime.command("run", "--no-pivot", "--bundle", bundle.path, scratch.id("c"));
    const { code, stdout, stderr } = await execute(["unshare", "-m", "sh", "-c", script, "sh", place, ...run]);
    assert.equal(code, 0, stdout + stderr);
  },
);
