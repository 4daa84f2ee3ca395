/**
 * Compiles the launcher's source for both architectures into position-fixed code without data.
 *
 * @module
 */
import { codeAddress } from "../../ffi/elf/elf.ts";
import { banner, run } from "./run.ts";

const compilers = [
  { arch: "x86_64", prefix: "x86_64-linux-gnu-", options: [] },
  // Without outline atomics and branch protection it is plain ARMv8.0.
  { arch: "aarch64", prefix: "aarch64-linux-gnu-", options: ["-mbranch-protection=none"] },
];

const options = [
  "-Os",
  "-ffreestanding",
  "-fno-pic",
  "-fno-stack-protector",
  "-fno-asynchronous-unwind-tables",
  "-fno-tree-loop-distribute-patterns",
  "-fcf-protection=none",
  "-nostdlib",
  "-static",
  "-no-pie",
  "-Wall",
  "-Wextra",
  "-Werror",
];

/** Code and constants in one piece, the entry first; anything that would be written is an error. */
const script = (address: number): string =>
  `ENTRY(_start)
SECTIONS {
  . = 0x${address.toString(16)};
  .text : { *(.text.start) *(.text .text.*) *(.rodata .rodata.*) . = ALIGN(16); }
  .written : { *(.data .data.* .bss .bss.*) }
  ASSERT(SIZEOF(.written) == 0, "the launcher has data that is written")
  /DISCARD/ : { *(.note*) *(.comment) *(.eh_frame*) }
}
`;

/** The version of the compiler; another one may give other bytes for the same source. */
export async function compilerVersion(prefix = compilers[0]!.prefix): Promise<string> {
  return (await run(`${prefix}gcc`, "-dumpfullversion")).trim();
}

async function compile(prefix: string, architectureOptions: readonly string[]): Promise<Uint8Array> {
  const directory = await Deno.makeTempDir();
  try {
    const source = new URL("../../ffi/elf/launcher.c", import.meta.url).pathname;
    await Deno.writeTextFile(`${directory}/script.ld`, script(codeAddress));
    const usable = options.filter((option) => prefix.startsWith("x86") || option !== "-fcf-protection=none");
    await run(
      `${prefix}gcc`,
      ...usable,
      ...architectureOptions,
      `-Wl,-T,${directory}/script.ld,--build-id=none,--no-warn-rwx-segments`,
      "-o",
      `${directory}/launcher`,
      source,
    );
    await run(`${prefix}objcopy`, "-O", "binary", "-j", ".text", `${directory}/launcher`, `${directory}/launcher.bin`);
    return await Deno.readFile(`${directory}/launcher.bin`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The file that `ffi/elf/launcher.ts` takes its code from. */
export async function generateLauncher(): Promise<Map<string, string>> {
  let text = banner("ffi/elf/launcher.c") +
    `\n/** The compiler that made it. */\nexport const compiler = "gcc ${await compilerVersion()}";\n` +
    "\n/** Code of the launcher as hexadecimal text; its first byte is the entry. */\nexport const launcherCode = {\n";
  for (const { arch, prefix, options } of compilers) {
    const lines = (await compile(prefix, options)).toHex().match(/.{1,96}/g) ?? [];
    text += `  ${arch}:\n${lines.map((line) => `    "${line}"`).join(" +\n")},\n`;
  }
  return new Map([["ffi/gen/launcher.ts", text + "} as const;\n"]]);
}
