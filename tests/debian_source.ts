/**
 * Where this host gets Debian from.
 *
 * @module
 */

/** A mirror's address, and the release's code name. */
export interface DebianSource {
  readonly mirror: string;
  readonly suite: string;
}

/** The mirror and the release that this host's own packages come from; undefined where apt-get(8) knows none. */
export async function debianSource(): Promise<DebianSource | undefined> {
  const args = ["indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages"];
  const { stdout } = await new Deno.Command("apt-get", { args, stdin: "null", stderr: "null" }).output();
  const [mirror, suite] = new TextDecoder().decode(stdout).split("\n")[0]!.split(" ");
  return mirror && suite ? { mirror, suite } : undefined;
}

/** As {@link debianSource}. Throws where there is none. */
export async function wantDebianSource(): Promise<DebianSource> {
  const source = await debianSource();
  if (source === undefined) throw new Error("apt-get knows no mirror of Debian");
  return source;
}
