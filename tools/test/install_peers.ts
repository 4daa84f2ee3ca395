/**
 * Installs the Debian packages that tests use as peers, where they are missing and this is a Debian run by root.
 *
 * @module
 */
import { missingPeers, type PeerName, peers } from "../../tests/peers.ts";

/** All of apt together may take this long; a machine without network must still run the other tests. */
const minutesMax = 7;

const environment = { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
const options = [
  "-y",
  "-qq",
  "-o=Acquire::Retries=3",
  "-o=Acquire::http::Timeout=30",
  "-o=DPkg::Lock::Timeout=120",
  "-o=Dpkg::Use-Pty=0",
];

async function apt(signal: AbortSignal, ...args: string[]): Promise<boolean> {
  if (signal.aborted) return false;
  console.log(`apt-get ${args.join(" ")}`);
  const command = new Deno.Command("apt-get", {
    args: [...options, ...args],
    env: environment,
    stdin: "null",
    stdout: "null",
    signal,
  });
  return (await command.output()).success;
}

/**
 * Debian starts the daemons of packages when it installs them (containerd, docker-registry); a policy-rc.d that says
 * 101 forbids that. A policy that is there already stays.
 */
async function withoutStartingServices<T>(work: () => Promise<T>): Promise<T> {
  const path = "/usr/sbin/policy-rc.d";
  try {
    Deno.writeTextFileSync(path, "#!/bin/sh\nexit 101\n", { createNew: true, mode: 0o755 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return await work();
    throw error;
  }
  try {
    return await work();
  } finally {
    Deno.removeSync(path);
  }
}

function canInstall(): boolean {
  try {
    return Deno.uid() === 0 && Deno.statSync("/usr/bin/apt-get").isFile;
  } catch {
    return false; // No apt: another distribution.
  }
}

/** Tries to make all peers be there, and gives those that are still missing. Says what it does; never throws. */
export async function installPeers(): Promise<PeerName[]> {
  // The object has the names as keys by its type; Object.keys forgets that.
  const all = Object.keys(peers) as PeerName[];
  const packages = (): string[] => [...new Set(missingPeers(...all).map((name) => peers[name].package))];
  if (packages().length === 0 || !canInstall()) return missingPeers(...all);
  const signal = AbortSignal.timeout(minutesMax * 60_000);
  try {
    await withoutStartingServices(async () => {
      const install = (...names: string[]) => apt(signal, "install", "--no-install-recommends", ...names);
      if (await install(...packages())) return;
      await apt(signal, "update");
      if (await install(...packages())) return;
      // One package that this release does not have must not keep the others away.
      for (const name of packages()) await install(name);
    });
  } catch (error) {
    console.log(`packages cannot be installed: ${error instanceof Error ? error.message : error}`);
  }
  return missingPeers(...all);
}
