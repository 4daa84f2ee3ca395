/**
 * System call numbers of every architecture that a seccomp profile may name, from the kernel's headers.
 *
 * @module
 */
import { banner, run } from "./run.ts";

interface Table {
  name: string;
  what: string;
  /** Compiler and arguments that preprocess `<asm/unistd.h>` for the architecture. */
  compiler: [string, ...string[]];
}

const cross = (triplet: string, ...defines: string[]): [string, ...string[]] => [
  "gcc",
  "-nostdinc",
  "-undef",
  ...defines,
  "-I",
  `/usr/${triplet}/include`,
];

const tables: readonly Table[] = [
  { name: "x86_64", what: "x86_64", compiler: ["gcc", "-m64"] },
  { name: "x86", what: "32-bit x86", compiler: ["gcc", "-m32", "-I", "/usr/include/x86_64-linux-gnu"] },
  {
    name: "x32",
    what: "the x32 ABI; every number has bit 30 set",
    compiler: ["gcc", "-mx32", "-I", "/usr/include/x86_64-linux-gnu"],
  },
  { name: "aarch64", what: "aarch64", compiler: cross("aarch64-linux-gnu", "-D__aarch64__", "-D__LP64__") },
  { name: "arm", what: "32-bit ARM (EABI)", compiler: cross("arm-linux-gnueabihf", "-D__arm__", "-D__ARM_EABI__") },
];

/** Numbers by name of one architecture, in the order of the numbers. */
async function numbers(table: Table): Promise<[string, number][]> {
  const source = await Deno.makeTempFile({ suffix: ".c" });
  const [command, ...args] = table.compiler;
  try {
    await Deno.writeTextFile(source, "#include <asm/unistd.h>\n");
    const macros = new Map<string, string>();
    for (
      const [, name, value] of (await run(command, ...args, "-E", "-dM", source)).matchAll(/^#define (\w+) (.+)$/gm)
    ) {
      macros.set(name!, value!);
    }
    const valueOf = (text: string): number =>
      text.replace(/[()]/g, "").split("+").map((part) => part.trim())
        .reduce(
          (sum, part) => sum + (/^(0x)?[0-9a-f]+$/i.test(part) ? Number(part) : valueOf(macros.get(part) ?? "NaN")),
          0,
        );
    return [...macros]
      .filter(([name]) =>
        /^__NR_(?!syscalls$|SYSCALL_BASE$|OABI|arch_specific|ni_syscall|sync_file_range2$)[a-z_]/.test(name) ||
        name === "__NR_sync_file_range2"
      )
      .map(([name, value]): [string, number] => [name.slice(5), valueOf(value)])
      .filter(([, number]) => Number.isInteger(number))
      .sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
  } finally {
    await Deno.remove(source);
  }
}

/** One file of numbers for each architecture. */
export async function generateSyscalls(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const table of tables) {
    let text = banner("the kernel's asm/unistd.h") +
      `\n/** System call numbers of ${table.what}. */\nexport const numbers = {\n`;
    for (const [name, number] of await numbers(table)) text += `  ${name}: ${number},\n`;
    files.set(`ffi/gen/syscalls_${table.name}.ts`, text + "} as const;\n");
  }
  return files;
}
