/**
 * Assembles the interpreter of syscall programs, a signal handler and a single system call for both architectures with
 * binutils.
 *
 * @module
 */
import { banner, run } from "./run.ts";

const targets = [
  { arch: "x86_64", prefix: "x86_64-linux-gnu-" },
  { arch: "aarch64", prefix: "aarch64-linux-gnu-" },
];

/** The bytes of `.text` and the offsets of its global symbols. */
async function assemble(source: string, prefix: string): Promise<{ bytes: Uint8Array; symbols: [string, number][] }> {
  const directory = await Deno.makeTempDir();
  try {
    await run(`${prefix}as`, "-o", `${directory}/code.o`, source);
    await run(`${prefix}objcopy`, "-O", "binary", "-j", ".text", `${directory}/code.o`, `${directory}/code.bin`);
    const symbols = [...(await run(`${prefix}nm`, `${directory}/code.o`)).matchAll(/^([0-9a-f]+) T (\w+)$/gm)]
      .map(([, offset, name]): [string, number] => [name!, parseInt(offset!, 16)])
      .sort((a, b) => a[1] - b[1]);
    return { bytes: await Deno.readFile(`${directory}/code.bin`), symbols };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** What is assembled: the constant's name, its comment, and the sources' name in `ffi/asm/`. */
const constants = [
  {
    name: "machineCode",
    does: "Machine code of the interpreter as hexadecimal text, and the offsets of its entries.",
    source: "interpreter",
  },
  {
    name: "signalCode",
    does: "Machine code of a signal handler as hexadecimal text, and the offsets of its entry and its descriptor.",
    source: "signal",
  },
  {
    name: "systemCallCode",
    does: "Machine code of one system call as hexadecimal text, and the offset of its entry.",
    source: "system_call",
  },
];

/** The file that `ffi/program/`, `ffi/signal.ts` and `ffi/kernel_answer.ts` take their machine code from. */
export async function generateMachineCode(): Promise<Map<string, string>> {
  let text = banner("ffi/asm/");
  for (const { name, does, source } of constants) {
    text += `\n/** ${does} */\nexport const ${name} = {\n`;
    for (const { arch, prefix } of targets) text += await entryOf(arch, prefix, source);
    text += "} as const;\n";
  }
  return new Map([["ffi/gen/machine_code.ts", text]]);
}

async function entryOf(arch: string, prefix: string, name: string): Promise<string> {
  const source = new URL(`../../ffi/asm/${name}_${arch}.S`, import.meta.url).pathname;
  const { bytes, symbols } = await assemble(source, prefix);
  const lines = (bytes.toHex().match(/.{1,96}/g) ?? []).map((line) => `      "${line}"`);
  const offsets = symbols.map(([symbol, offset]) => `    ${symbol}: ${offset},\n`);
  return `  ${arch}: {\n${offsets.join("")}    hex:\n${lines.join(" +\n")},\n  },\n`;
}
