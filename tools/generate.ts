/**
 * `deno task generate`: writes the generated files from the kernel's headers, the C library, assembly, C, data and the
 * API's `.proto` files. With `--check` nothing is written and a difference is an error.
 *
 * Needs Debian's gcc, gcc-aarch64-linux-gnu, linux-libc-dev-arm64-cross, linux-libc-dev-armhf-cross and
 * protobuf-compiler, and ts-proto from npm. Works offline where that has been fetched once.
 *
 * @module
 */
import { generateDefaultFilter } from "./generate/default_filter.ts";
import { generateErrno } from "./generate/errno.ts";
import { generateSyscalls } from "./generate/syscalls.ts";
import { generateLauncher } from "./generate/launcher.ts";
import { generateMachineCode } from "./generate/machine_code.ts";
import { generateMessages } from "./generate/messages.ts";

/** Path below the repository's root → text of every generated file. */
export async function generated(): Promise<Map<string, string>> {
  return new Map([
    ...generateErrno(),
    ...generateDefaultFilter(),
    ...await generateSyscalls(),
    ...await generateMachineCode(),
    ...await generateLauncher(),
    ...await generateMessages(),
  ]);
}

if (import.meta.main) {
  const root = new URL("../", import.meta.url);
  let stale = 0;
  for (const [path, text] of await generated()) {
    const url = new URL(path, root);
    if (!Deno.args.includes("--check")) {
      Deno.mkdirSync(new URL("./", url), { recursive: true });
      Deno.writeTextFileSync(url, text);
    } else if (Deno.readTextFileSync(url) !== text) {
      console.error(`${path} is not what its sources give: run deno task generate`);
      stale++;
    }
  }
  if (stale > 0) Deno.exit(1);
}
