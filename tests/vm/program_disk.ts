/**
 * The disk with what is tested: barge, installed below /usr/local, and the source tree with its tests, below the same
 * path as on the host. It is a tar archive, which the machine unpacks when it has booted.
 *
 * @module
 */
import { libraryOf } from "../../tools/install/builds.ts";
import { install } from "../../tools/install/install.ts";
import { sourceRoot, succeed } from "../command.ts";

/** Where barge is in the machine. */
export const installedBarge = "/usr/local/bin/barge";

/** Deno's cache in the machine: packages and stripped sources, so that nothing is fetched. */
export const denoDirectory = "/var/cache/deno";

/** Parts of the source tree that the machine's tests load. */
const sources: readonly string[] = ["api", "cli", "daemon", "ffi", "shim", "tests", "tools", "deno.json", "deno.lock"];

/** Packages that they import. */
const npmPackages: readonly string[] = ["@bufbuild/protobuf", "smol-toml"];

async function denoCache(): Promise<string> {
  // The object's form is documented with `deno info`.
  const info = JSON.parse(await succeed([Deno.execPath(), "info", "--json"])) as { denoDir: string };
  return info.denoDir;
}

/** Writes the disk's file; `work` is a directory for what is made on the way. */
export async function makeProgramDisk(path: string, work: string): Promise<void> {
  const tree = `${work}/tree`;
  await Deno.mkdir(`${tree}/usr/local`, { recursive: true });
  await install({ root: new URL(`file://${sourceRoot}/`), prefix: `${tree}/usr/local`, links: false });
  // No other name: containerd, ctr and runc are the stock ones.
  await Deno.symlink("barge", `${tree}/usr/local/bin/containerd-shim-ts-v2`);
  // The image has it, and its agent links it there.
  await Deno.remove(`${libraryOf(`${tree}/usr/local/bin/barge`)}/deno`);
  const cache = await denoCache();
  await Deno.mkdir(`${tree}${denoDirectory}`, { recursive: true });
  const registries = [...Deno.readDirSync(`${cache}/npm`)].map(({ name }) => name);
  for (const registry of registries) {
    for (const name of npmPackages) {
      const target = `${tree}${denoDirectory}/npm/${registry}/${name}`;
      await Deno.mkdir(target.replace(/\/[^/]*$/, ""), { recursive: true });
      await succeed(["cp", "-a", `${cache}/npm/${registry}/${name}`, target]);
    }
  }
  const parts = sources.map((name) => `${sourceRoot}/${name}`.slice(1));
  await succeed([...["tar", "-cf", path, "-C", tree, "."], ...["-C", "/", ...parts]]);
}
