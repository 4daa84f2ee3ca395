/**
 * A bundle inside the virtual machine, which all of its runtimes take.
 *
 * @module
 */
import type { FullSpec } from "../bundle.ts";
import { defaultSpec } from "../../shim/oci/spec/default_spec.ts";
import type { Machine } from "./machine.ts";

/** Makes the root file system that the bundles of all cases share, where it is missing: busybox under a few names. */
const makeRoot = `
test -d /guest/rootfs && exit
mkdir -p /guest/rootfs/bin /guest/rootfs/tmp /guest/rootfs/etc
cp /bin/busybox /guest/rootfs/bin
for name in sh sleep cat echo id ls grep dd mkdir head true mknod tail hostname; do
  ln -s busybox /guest/rootfs/bin/$name
done
echo secret > /guest/rootfs/etc/secret
`;

/**
 * Writes a bundle for the shell command into a directory of the machine: a writable root, no terminal, all by version
 * 1.0.2 of the specification, which the crun of Debian 12 knows.
 */
export async function writeGuestBundle(
  machine: Machine,
  directory: string,
  script: string,
  change: (spec: FullSpec) => void = () => {},
): Promise<void> {
  await machine.succeed(makeRoot);
  // The default has all of these properties.
  const spec = { ...defaultSpec(2), ociVersion: "1.0.2" } as FullSpec;
  spec.process.terminal = false;
  spec.process.args = ["sh", "-c", script];
  spec.root = { path: "/guest/rootfs", readonly: false };
  change(spec);
  await machine.succeed(`mkdir -p ${directory}`);
  await machine.write(`${directory}/config.json`, JSON.stringify(spec));
}
