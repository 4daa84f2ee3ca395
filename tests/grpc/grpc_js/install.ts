/**
 * A directory with grpc-js and the scripts that use it, for Node and Deno. The packages come from Deno's cache, or, the
 * first time, from the registry.
 *
 * @module
 */
import { execute } from "../../command.ts";

const version = "1.14.7";
const scripts = ["echo_definition.mjs", "client.mjs", "server.mjs"];

/** The directory, or why there is none. Whoever got it removes it. */
export type Installed = { readonly directory: string } | { readonly lack: string };

/** See the module. */
export async function installGrpcJs(): Promise<Installed> {
  const directory = await Deno.makeTempDir({ prefix: "barge-grpc-js-" });
  const description = { type: "module", private: true, dependencies: { "@grpc/grpc-js": version } };
  await Deno.writeTextFile(`${directory}/package.json`, JSON.stringify(description));
  for (const name of scripts) await Deno.copyFile(new URL(name, import.meta.url), `${directory}/${name}`);
  const words = [Deno.execPath(), "install", "--quiet", "--no-lock", "--node-modules-dir=auto"];
  for (const how of [["--cached-only"], []]) {
    const { code } = await execute([...words, ...how], { cwd: directory, timeoutMs: 60_000 }).catch(() => ({
      code: 1,
    }));
    if (code === 0) return { directory };
  }
  await Deno.remove(directory, { recursive: true });
  return { lack: `no npm package @grpc/grpc-js@${version}` };
}
