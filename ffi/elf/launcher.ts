/**
 * The launcher as an executable file; its source is {@link file://./launcher.c}.
 *
 * @module
 */
import { type Arch, hostArch } from "../arch.ts";
import { launcherCode } from "../gen/launcher.ts";
import { emitElf } from "./elf.ts";

/** The static executable that starts the bundled program beside it. */
export function launcherElf(arch: Arch = hostArch): Uint8Array<ArrayBuffer> {
  return emitElf({ arch, code: Uint8Array.fromHex(launcherCode[arch]), entry: 0, data: new Uint8Array(16) });
}
