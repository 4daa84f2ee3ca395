/**
 * Rows: `barge oci` beside runc and crun in the tests' virtual machine, where the cgroups are of version 2 alone. crun
 * refuses to work on hosts with both versions.
 *
 * @module
 */
import { missingPeers } from "../../tests/peers.ts";
import { missingImage } from "../../tests/vm/build_image.ts";
import { compareTimes } from "../../tests/vm/compare_times.ts";
import { bootMachine } from "../../tests/vm/machine.ts";
import type { Amount, Row } from "../measure.ts";

const note =
  "QEMU emulates the machine's processor, on which programs of other kinds are slowed down by other factors: " +
  "only compare figures that changed with figures of the same table.";

/** Measures them; takes two minutes, half of one with `quick`. */
export async function ociMachineRows(amount: Amount): Promise<Row[]> {
  const work = "`barge oci` in a virtual machine with cgroup version 2";
  const missing = missingPeers("qemu-system-x86", "debootstrap", "busybox-static", "e2fsprogs", "util-linux");
  const reason = missing.length > 0 ? `no ${missing.join(", ")}` : await missingImage();
  if (reason !== undefined) return [{ kind: "skipped", work, reason }];
  await using machine = await bootMachine();
  const rows: Row[] = [];
  for (const { name, times } of await compareTimes(machine, amount.quick ? 2 : 5)) {
    for (const peer of ["runc", "crun"]) {
      rows.push({
        ...{ kind: "measured", work: `${name} in a virtual machine`, peer: `\`${peer}\``, unit: "ms" },
        // What is right there would be wrong for every real machine.
        ratioMax: Infinity,
        bargeTimes: [...times.get("barge")!],
        peerTimes: [...times.get(peer)!],
      });
    }
  }
  return [...rows, { kind: "note", text: note }];
}
