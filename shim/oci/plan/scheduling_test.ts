import assert from "node:assert/strict";
import { Program } from "../../../ffi/program/program.ts";
import { addMemoryPolicy, addScheduling, listMask } from "./scheduling.ts";

Deno.test("listMask() gives bits, and refuses what is no list", () => {
  assert.deepEqual(listMask("0-2,5", "x"), [0b100111n]);
  assert.deepEqual(listMask("64", "x"), [0n, 1n]);
  for (const list of ["", "a", "3-1", "1,,2", "9000"]) {
    assert.throws(() => listMask(list, "it"), /^Failure: it: want a list/);
  }
});

Deno.test("addScheduling() fills struct sched_attr, and refuses unknown names", () => {
  const program = new Program();
  const scheduler = { policy: "SCHED_DEADLINE", flags: ["SCHED_FLAG_RECLAIM"], runtime: 1, deadline: 2, period: 3 };
  addScheduling(program, { user: { uid: 0, gid: 0 }, cwd: "/", scheduler });
  const [step] = program.operations;
  assert(typeof step === "object");
  // The second argument is the structure's data.
  const { bytes } = step.args[1] as { bytes: Uint8Array };
  const view = new DataView(bytes.buffer);
  assert.deepEqual([view.getUint32(0, true), view.getUint32(4, true), view.getBigUint64(8, true)], [48, 6, 2n]);
  assert.deepEqual([24, 32, 40].map((offset) => view.getBigUint64(offset, true)), [1n, 2n, 3n]);
  const process = { user: { uid: 0, gid: 0 }, cwd: "/" };
  assert.throws(() => addScheduling(program, { ...process, scheduler: { policy: "X" } }), /unknown policy "X"/);
  assert.throws(() => addScheduling(program, { ...process, ioPriority: { class: "X" } }), /unknown class "X"/);
});

Deno.test("addMemoryPolicy() tells the kernel one bit more than it has", () => {
  const program = new Program();
  addMemoryPolicy(program, { mode: "MPOL_LOCAL" });
  addMemoryPolicy(program, { mode: "MPOL_BIND", nodes: "1", flags: ["MPOL_F_STATIC_NODES"] });
  const numbers = program.operations.map((step) => typeof step === "object" ? [step.args[0], step.args[2]] : []);
  assert.deepEqual(numbers, [[4, 0], [2 | 1 << 15, 65]]);
});

Deno.test("addMemoryPolicy() says what the kernel would refuse without a word", () => {
  const refused: [Parameters<typeof addMemoryPolicy>[1], RegExp][] = [
    [{ mode: "MPOL_BIND" }, /MPOL_BIND wants at least one node/],
    [{ mode: "MPOL_INTERLEAVE", nodes: "" }, /wants at least one node/],
    [{ mode: "MPOL_DEFAULT", nodes: "0" }, /MPOL_DEFAULT takes none/],
    [{ mode: "MPOL_NONE" }, /unknown mode "MPOL_NONE"/],
    [{ mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"] }, /exclude each other/],
  ];
  for (const [policy, message] of refused) assert.throws(() => addMemoryPolicy(new Program(), policy), message);
  addMemoryPolicy(new Program(), { mode: "MPOL_PREFERRED" });
});
