import { equal, ok } from "node:assert/strict";
import type { DeviceRule } from "../../../api/oci/runtime_spec.ts";
import { deviceProgram } from "./device_program.ts";
import { access, devicePolicy } from "./device_rules.ts";

/** What a use of a device looks like to the program. */
interface Use {
  type: "b" | "c";
  major: number;
  minor: number;
  wanted: number;
}

/** Runs a program as the kernel would; knows only what the generator may emit. */
function verdict(program: Uint8Array<ArrayBuffer>, use: Use): number {
  const code = new DataView(program.buffer);
  const context = new Uint32Array([use.wanted << 16 | (use.type === "b" ? 1 : 2), use.major, use.minor]);
  const registers = new BigInt64Array(11);
  for (let at = 0, steps = 0; steps < 1_000; at += 8, steps++) {
    const opcode = code.getUint8(at);
    const dst = code.getUint8(at + 1) & 15, src = code.getUint8(at + 1) >> 4;
    const offset = code.getInt16(at + 2, true), immediate = BigInt(code.getInt32(at + 4, true));
    const word = (value: bigint) => registers[dst] = BigInt.asUintN(32, value);
    if (opcode === 0x61) word(BigInt(context[offset / 4]!));
    else if (opcode === 0xb4) word(immediate);
    else if (opcode === 0xbc) word(registers[src]!);
    else if (opcode === 0x54) word(registers[dst]! & immediate);
    else if (opcode === 0x74) word(registers[dst]! >> immediate);
    else if (opcode === 0x05) at += offset * 8;
    else if (opcode === 0x55) at += registers[dst] !== immediate ? offset * 8 : 0;
    else if (opcode === 0x5d) at += registers[dst] !== registers[src] ? offset * 8 : 0;
    else if (opcode === 0x95) return Number(registers[0]);
    else throw new Error(`opcode ${opcode.toString(16)} at ${at}`);
  }
  throw new Error("the program does not end");
}

/** Every combination of devices around those of the rules, and of accesses. */
function* uses(): Generator<Use> {
  for (const type of ["b", "c"] as const) {
    for (const major of [0, 1, 5, 8, 10, 136, 4095]) {
      for (const minor of [0, 1, 3, 11, 200, 229, 1_048_575]) {
        for (let wanted = 1; wanted <= 7; wanted++) yield { type, major, minor, wanted };
      }
    }
  }
}

/** What the policy says of a use, in other words than the generator's. */
function allowed(rules: DeviceRule[], { type, major, minor, wanted }: Use): boolean {
  const { allow, exceptions } = devicePolicy(rules);
  const matching = exceptions.filter((exception) =>
    exception.type === type && [major, undefined].includes(exception.major) &&
    [minor, undefined].includes(exception.minor)
  );
  return allow
    ? !matching.some((exception) => exception.access & wanted)
    : matching.some((exception) => (exception.access & wanted) === wanted);
}

const policies: DeviceRule[][] = [
  [],
  [{ allow: true, access: "rwm" }],
  [{ allow: true, type: "c", major: 10, minor: 229, access: "r" }, { allow: true, type: "b", access: "w" }],
  [{ allow: true, access: "rwm" }, { allow: false, type: "b", major: 8, access: "rw" }],
  [{ allow: true, access: "rwm" }, { allow: false, type: "c", minor: 11, access: "w" }],
];

Deno.test("deviceProgram() answers for every use what the policy says", () => {
  let denied = 0;
  for (const rules of policies) {
    const program = deviceProgram(devicePolicy(rules));
    for (const use of uses()) {
      const expected = allowed(rules, use);
      if (!expected) denied++;
      equal(verdict(program, use), expected ? 1 : 0, JSON.stringify({ rules, use }));
    }
  }
  ok(denied > 1_000, `${denied} uses were denied`);
});

Deno.test("deviceProgram() denies a part of an access as the whole", () => {
  const program = deviceProgram(
    devicePolicy([{ allow: true, access: "rwm" }, { allow: false, type: "c", major: 1, minor: 11, access: "w" }]),
  );
  const kmsg = { type: "c", major: 1, minor: 11 } as const;
  equal(verdict(program, { ...kmsg, wanted: access.r }), 1);
  equal(verdict(program, { ...kmsg, wanted: access.r | access.w }), 0);
});
