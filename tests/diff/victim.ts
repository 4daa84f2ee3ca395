/**
 * A process for tests to kill: applies a layer to a bind mount and compares the result, over and over.
 *
 * @module
 */
import { parseDigest } from "../../api/digest.ts";
import { Differ } from "../../daemon/diff/differ.ts";

/** Arguments: a directory for mounts, the blob, its digest, the target, a file for new layers. */
async function main([mountDirectory = "", blob = "", digest = "", target = "", output = ""]: string[]): Promise<void> {
  using differ = new Differ({ mountDirectory });
  const bind = (option: string) => [{ type: "bind", source: target, target: "", options: ["rbind", option, "nosuid"] }];
  const tmpfs = [{ type: "tmpfs", source: "tmpfs", target: "", options: [] }];
  const { signal } = new AbortController();
  const mediaType = "application/vnd.oci.image.layer.v1.tar";
  console.log("begins");
  for (;;) {
    const payloads = new Map<string, Uint8Array>();
    const job = { mediaType, digest: parseDigest(digest), blob, mounts: bind("rw"), sync: false, payloads };
    await differ.apply(job, signal);
    await differ.compare({ lower: tmpfs, upper: bind("ro"), packing: "gzip", output }, signal);
  }
}

if (import.meta.main) await main(Deno.args);
