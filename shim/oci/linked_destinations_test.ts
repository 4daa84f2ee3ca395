import assert from "node:assert/strict";
import { linkedDestinations } from "./linked_destinations.ts";

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const to = (destination: string, type = "bind") => ({ destination, type });
const spec = (...mounts: ReturnType<typeof to>[]) => ({ ociVersion: "1.0.2", mounts });

Deno.test("linkedDestinations() looks at links of the topmost layer that has the path, and of no host's directory", async () => {
  await inDirectory(async (base) => {
    for (const path of ["2/etc", "1/etc", "1/file", "1/linked", "0/etc", "0/deep"]) {
      await Deno.mkdir(`${base}/${path}`, { recursive: true });
    }
    await Deno.symlink("../run/x", `${base}/0/etc/name`);
    await Deno.symlink("/hidden", `${base}/0/etc/plain`);
    await Deno.writeTextFile(`${base}/1/etc/plain`, "");
    await Deno.symlink("/real", `${base}/0/way`);
    await Deno.symlink("/host", `${base}/0/linked`);
    await Deno.writeTextFile(`${base}/1/deep`, "a file hides what is below");
    await Deno.symlink("/hidden", `${base}/0/deep/link`);
    const root = {
      kind: "overlay" as const,
      base,
      lower: ["1", "0"],
      upper: "2",
      work: "w",
      options: [],
      mountpoint: "/m",
    };
    const mounts = ["/etc/name", "/etc/plain", "/way/x/y", "/linked/x", "/deep/link", "/missing/x"].map((path) =>
      to(path)
    );
    const linked = linkedDestinations(spec(...mounts), root);
    assert.deepEqual([...linked], [["/etc/name", "/run/x"], ["/way/x/y", "/real/x/y"]]);
  });
});

Deno.test("linkedDestinations() passes over links that earlier mounts cover, and leaves the last name of proc", async () => {
  await inDirectory(async (path) => {
    await Deno.mkdir(`${path}/dev`);
    await Deno.symlink("/run/shm", `${path}/dev/shm`);
    await Deno.symlink("/real", `${path}/srv`);
    await Deno.symlink("/real", `${path}/proc`);
    const root = { kind: "directory" as const, path };
    const proc = [to("/proc", "proc"), to("/srv/proc", "proc")];
    assert.deepEqual([...linkedDestinations(spec(...proc), root)], [["/srv/proc", "/real/proc"]]);
    assert.deepEqual([...linkedDestinations(spec(to("/dev/shm")), root)], [["/dev/shm", "/run/shm"]]);
    assert.deepEqual([...linkedDestinations(spec(to("/dev"), to("/dev/shm")), root)], []);
  });
});
