/**
 * Assembles the interpreter of syscall programs for both architectures with binutils.
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

/** The file that `ffi/program/` takes its machine code from. */
export async function generateMachineCode(): Promise<Map<string, string>> {
  let text = banner("ffi/asm/") +
    "\n/** Machine code of the interpreter as hexadecimal text, and the offsets of its entries. */\n" +
    "export const machineCode = {\n";
  for (const { arch, prefix } of targets) {
    const source = new URL(`../../ffi/asm/interpreter_${arch}.S`, import.meta.url).pathname;
    const { bytes, symbols } = await assemble(source, prefix);
    text += `  ${arch}: {\n`;
    for (const [name, offset] of symbols) text += `    ${name}: ${offset},\n`;
    text += "    hex:\n";
    const lines = bytes.toHex().match(/.{1,96}/g) ?? [];
    text += lines.map((line) => `      "${line}"`).join(" +\n") + ",\n  },\n";
  }
  return new Map([["ffi/gen/machine_code.ts", text + "} as const;\n"]]);
}
