/**
 * Root file systems that only the runtime's rights can mount: those with ids mapped (containerd's options `uidmap=` and
 * `gidmap=`), and overlays of containers whose user namespace has no right to the layers' directories and attributes.
 *
 * @module
 */
import { hostArch } from "../../ffi/arch.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { call } from "../../ffi/syscall.ts";
import { ignoredSignals } from "./gather_facts.ts";
import { holdUserNamespace } from "./hold_user_namespace.ts";
import { launch, makeGo } from "./launch.ts";
import { addDetachedRoot } from "./plan/detached_root.ts";
import type { RootSource } from "./plan/facts.ts";
import { beginChild } from "./plan/plan.ts";
import { addWait } from "./plan/stops.ts";

/**
 * Mounts the root as a detached mount, which is to be attached to `mountpoint` or to the root's own directory.
 *
 * It is made by a process with a mount namespace of its own: before Linux 6.15 an overlay takes mounts with ids mapped
 * for its layers only where they are attached somewhere, and that is not to be seen on the host.
 *
 * Throws {@link ProgramFailure} for what cannot be mounted, `InvalidArgument` for maps that the kernel does not take.
 */
export async function openDetachedRoot(reactor: Reactor, root: RootSource): Promise<Descriptor> {
  using namespace = root.idMaps === undefined ? undefined : await holdUserNamespace(reactor, root.idMaps);
  const facts = { arch: hostArch, ignoredSignals: ignoredSignals(), cgroups: [] };
  const given = namespace === undefined ? [] : [namespace];
  const wanted = { start: false, life: false, console: false, go: true, idmaps: given.length };
  const { program, descriptors } = beginChild(["CLONE_NEWNS"], facts, wanted);
  const mount = addDetachedRoot(program, root, descriptors.idmaps[0]);
  addWait(program, descriptors.report, descriptors.go!, "the runtime to take the mount");
  using go = makeGo();
  const streams = { stdin: 0, stdout: 1, stderr: 2 };
  const launched = launch({ program, streams, dieWithParent: false, alone: false, go: go.read, idMapped: given });
  try {
    await launched.settled(reactor, true);
    return new Descriptor(call("pidfd_getfd", launched.child.pidfd, Number(launched.child.resultIn(mount)), 0));
  } finally {
    await launched.kill(reactor);
    launched.close();
  }
}

/** Attaches a detached mount to a directory of the host. */
export function attachMount(mount: Descriptor, directory: string): void {
  call("move_mount", mount.number, "", flags("AT_FDCWD"), directory, flags("MOVE_MOUNT_F_EMPTY_PATH"));
}
