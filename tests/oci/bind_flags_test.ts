/**
 * Which flags of its source a bind mount keeps (the table of docs/oci-runtime.md).
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Bundle, runtimeTest } from "../bundle.ts";
import { succeed } from "../command.ts";
import type { Scratch } from "../scratch.ts";

/** Flags of the source, options of the bind, flags of the mount. */
type Row = readonly [source: string, options: string, expected: string];

const hardened = "nosuid,nodev,noexec";

const asRunc: readonly Row[] = [
  ["rw", "", "rw,relatime"],
  ["rw", "ro", "ro,relatime"],
  ["rw", "nosuid,noexec", "rw,nosuid,noexec,relatime"],
  ["rw", "noatime", "rw,noatime"],
  [hardened, "", `rw,${hardened},relatime`],
  [hardened, "rprivate", `rw,${hardened},relatime`],
  [hardened, "rw", `rw,${hardened},relatime`],
  [hardened, "rro", `ro,${hardened},relatime`],
  [hardened, "ro", "ro,relatime"],
  [hardened, "ro,nosuid", "ro,nosuid,relatime"],
  [hardened, "ro,exec", "ro,relatime"],
  [hardened, "noatime", "rw,noatime"],
  [hardened, "sync", "rw,relatime"],
  ["ro", "", "ro,relatime"],
  ["ro", "ro", "ro,relatime"],
  ["ro", "rro", "ro,relatime"],
  ["noatime", "ro", "ro,noatime"],
  ["noatime", "relatime", "rw,relatime"],
  ["noatime", "nodiratime", "rw,nodiratime,relatime"],
  ["nodiratime,strictatime", "nosuid", "rw,nosuid,nodiratime"],
  ["nodiratime,strictatime", "noatime", "rw,noatime"],
  ["nosymfollow", "", "rw,relatime,nosymfollow"],
];

/** Where barge does what is asked for, and nothing more. */
const own: readonly Row[] = [
  ["ro", "rw", "rw,relatime"],
  ["ro", "nosuid", "ro,nosuid,relatime"],
  ["ro", "rw,nosuid", "rw,nosuid,relatime"],
  [hardened, "exec", "rw,nosuid,nodev,relatime"],
  [hardened, "suid,dev,exec", "rw,relatime"],
  ["noatime", "atime", "rw,relatime"],
  ["nosymfollow", "ro", "ro,relatime,nosymfollow"],
  ["nosymfollow", "symfollow", "rw,relatime"],
];

const lockedAsRunc: readonly Row[] = [
  ["rw", "", "rw,relatime"],
  ["rw", "ro", "ro,relatime"],
  ["rw", "nosuid", "rw,nosuid,relatime"],
  [hardened, "", `rw,${hardened},relatime`],
  [hardened, "rw", `rw,${hardened},relatime`],
  [hardened, "exec", `rw,${hardened},relatime`],
  [hardened, "rro", `ro,${hardened},relatime`],
  ["ro", "rw", "ro,relatime"],
  ["ro", "nosuid", "ro,nosuid,relatime"],
  ["noatime", "ro", "ro,noatime"],
  ["noatime", "noatime", "rw,noatime"],
  ["noatime", "atime", "rw,noatime"],
];

/** Where runc 1.1 fails, and later ones keep what is locked. */
const lockedOwn: readonly Row[] = [
  [hardened, "ro", `ro,${hardened},relatime`],
  [hardened, "nosuid", `rw,${hardened},relatime`],
  [hardened, "ro,exec", `ro,${hardened},relatime`],
  [`ro,${hardened}`, "relatime", `ro,${hardened},relatime`],
];

async function check(bundle: Bundle, scratch: Scratch, rows: readonly Row[]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const sources = new Map<string, string>();
  for (const [flags] of rows) {
    if (sources.has(flags)) continue;
    const source = `${scratch.path}/source${sources.size}`;
    await Deno.mkdir(source);
    await succeed(["mount", "-t", "tmpfs", "-o", flags, "tmpfs", source]);
    stack.defer(async () => void await succeed(["umount", source]));
    sources.set(flags, source);
  }
  await bundle.edit((spec) =>
    rows.forEach(([flags, options], index) =>
      spec.mounts.push({
        destination: `/m${index}`,
        type: "bind",
        source: sources.get(flags)!,
        options: ["rbind", ...options.split(",").filter((option) => option !== "")],
      })
    )
  );
  const { code, stdout, stderr } = await bundle.run("cat /proc/self/mountinfo");
  assert.equal(code, 0, stderr);
  const found = new Map(stdout.trim().split("\n").map((line) => line.split(" ")).map((words) => [words[4], words[5]]));
  const seen = rows.map(([source, options], index) => [source, options, found.get(`/m${index}`)]);
  assert.deepEqual(seen, rows);
}

async function inUserNamespace(bundle: Bundle): Promise<void> {
  const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  await bundle.edit((spec) => {
    spec.linux.namespaces = [...spec.linux.namespaces ?? [], { type: "user" }];
    Object.assign(spec.linux, { uidMappings: map, gidMappings: map });
  });
  await succeed(["chown", "-hR", "100000:100000", bundle.rootfs]);
}

runtimeTest("a bind keeps its source's flags unless its options set some", async (bundle, _runtime, scratch) => {
  await check(bundle, scratch, asRunc);
});

runtimeTest("a bind loses nothing by an option that takes another flag back", async (bundle, _runtime, scratch) => {
  await check(bundle, scratch, own);
}, { only: "barge" });

runtimeTest("a bind in a user namespace keeps what is locked", async (bundle, _runtime, scratch) => {
  await inUserNamespace(bundle);
  await check(bundle, scratch, lockedAsRunc);
});

runtimeTest(
  "a bind in a user namespace starts with what is locked, beside what it asks for",
  async (bundle, _r, scratch) => {
    await inUserNamespace(bundle);
    await check(bundle, scratch, lockedOwn);
  },
  { only: "barge" },
);

runtimeTest("access times that are locked otherwise are an error", async (bundle, _runtime, scratch) => {
  await inUserNamespace(bundle);
  const source = `${scratch.path}/volume`;
  await Deno.mkdir(source);
  await bundle.edit((spec) =>
    spec.mounts.push({ destination: "/m", type: "bind", source, options: ["rbind", "noatime"] })
  );
  const { code, stderr } = await bundle.run("true");
  assert.deepEqual([code, /operation not permitted/.test(stderr)], [1, true], stderr);
});
