/**
 * Chain ids: the names of stacks of layers (image-spec `config.md`, "Layer ChainID").
 *
 * @module
 */
import { type Digest, parseDigest } from "../../api/digest.ts";

/** For each layer, from the base up, the name of it together with all below it. */
export async function chainIds(diffIds: readonly Digest[]): Promise<Digest[]> {
  const { createHash } = await import("node:crypto");
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(
      below === undefined
        ? diffId
        : parseDigest(`sha256:${createHash("sha256").update(`${below} ${diffId}`).digest("hex")}`),
    );
  }
  return chain;
}
