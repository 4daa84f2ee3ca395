/**
 * User namespaces that are made for their maps alone: nobody runs in them.
 *
 * @module
 */
import { hostArch } from "../../ffi/arch.ts";
import { flags } from "../../ffi/constants.ts";
import { type Descriptor, openFile } from "../../ffi/descriptor.ts";
import { room } from "../../ffi/program/program.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { ignoredSignals } from "./gather_facts.ts";
import { writeIdMaps } from "./id_maps.ts";
import { launch, makeGo } from "./launch.ts";
import type { IdMaps } from "./plan/id_maps.ts";
import { beginChild } from "./plan/plan.ts";

/**
 * A user namespace with the maps: that of a process which does nothing, and ends before this returns. Throws
 * `InvalidArgument` for maps that the kernel does not take.
 */
export async function holdUserNamespace(reactor: Reactor, { uids, gids }: IdMaps): Promise<Descriptor> {
  const facts = { arch: hostArch, ignoredSignals: ignoredSignals(), cgroups: [] };
  const wanted = { start: false, life: false, console: false, go: true };
  const { program, descriptors } = beginChild(["CLONE_NEWUSER"], facts, wanted);
  const does = "hold a user namespace";
  program.add({ call: "read", args: [descriptors.go!, room(8, "&byte"), 1], does, expect: 1 });
  using go = makeGo();
  const streams = { stdin: 0, stdout: 1, stderr: 2 };
  const launched = launch({ program, streams, dieWithParent: false, alone: false, go: go.read });
  try {
    await writeIdMaps(launched.child.pid, uids, gids);
    return openFile(`/proc/${launched.child.pid}/ns/user`, flags("O_RDONLY"));
  } finally {
    await launched.kill(reactor);
    launched.close();
  }
}
