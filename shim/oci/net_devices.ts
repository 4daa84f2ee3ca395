/**
 * Moves network devices of the host into a container (runtime-spec, `linux.netDevices`).
 *
 * They do not come back by themselves: when the namespace ends, the kernel gives physical ones to the host's, and removes
 * those that are made of software.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import type { Linux } from "../../api/oci/runtime_spec.ts";
import { flags } from "../../ffi/constants.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { Netlink } from "../../ffi/netlink.ts";

/**
 * Moves each device into the network namespace of the process, with its configured addresses, and switches it on there.
 * Throws `NotFound` for a device that the host does not have, `Aborted` with the step that the kernel refuses.
 */
export function moveNetDevices(devices: NonNullable<Linux["netDevices"]>, pid: number): void {
  using namespace = openFile(`/proc/${pid}/ns/net`, flags("O_RDONLY"));
  using host = Netlink.open();
  using inner = Netlink.open(namespace.number);
  for (const [name, { name: wanted }] of Object.entries(devices)) {
    const index = host.links().find((link) => link.name === name)?.index;
    if (index === undefined) {
      throw new Failure("NotFound", `link not found for interface ${name} on runtime namespace`);
    }
    try {
      moveOne({ host, inner, namespace: namespace.number }, index, wanted || name);
    } catch (cause) {
      throw new Failure("Aborted", `move the network device "${name}": ${messageOf(cause)}`, { cause });
    }
  }
}

function moveOne(
  { host, inner, namespace }: { host: Netlink; inner: Netlink; namespace: number },
  index: number,
  name: string,
): void {
  const addresses = host.addresses(index);
  const others = inner.links();
  // The kernel would find that out after the device has gone over under its old name.
  if (others.some((link) => link.name === name)) {
    throw new Failure("AlreadyExists", `the container has a device "${name}": file exists`);
  }
  host.setUp(index, false);
  const before = new Set(others.map((link) => link.index));
  host.move(index, namespace, name);
  // Its number may be another one there, and a name with %d has been filled in.
  const moved = inner.links().find((link) => !before.has(link.index));
  if (moved === undefined) throw new Failure("NotFound", "it is not in the container's namespace");
  for (const address of addresses) inner.addAddress(moved.index, address);
  inner.setUp(moved.index, true);
}
