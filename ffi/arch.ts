/**
 * The processor architectures that barge knows.
 *
 * @module
 */

/** A name as `uname -m` gives it. */
export type Arch = "x86_64" | "aarch64";

/** The architecture that this process runs on. */
export const hostArch: Arch = Deno.build.arch;
