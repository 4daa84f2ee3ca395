/**
 * Compiles the built-in seccomp profile for the default capabilities.
 *
 * @module
 */
import { defaultCapabilities } from "../../cli/run/capabilities.ts";
import { defaultSeccomp } from "../../cli/run/default_seccomp.ts";
import { resolveProfile } from "../../cli/run/seccomp_profile.ts";
import { compileSeccomp } from "../../shim/oci/seccomp/compile.ts";
import { banner } from "./run.ts";

/** The oldest kernel that barge runs on: conditions on the kernel's version are decided by it. */
const kernel = "5.12";

/** The file that `cli/run/default_filter.ts` takes its programs from. */
export function generateDefaultFilter(): Map<string, string> {
  let text = banner("cli/run/default_seccomp.ts") +
    "\n/** Instructions (struct sock_filter) as hexadecimal text, and the flags of seccomp(2). */\n" +
    "export const defaultFilters = {\n";
  for (const arch of ["x86_64", "aarch64"] as const) {
    const profile = resolveProfile(defaultSeccomp(), { arch, kernel, capabilities: defaultCapabilities });
    const { program, flags } = compileSeccomp(profile, arch);
    const lines = program.toHex().match(/.{1,96}/g) ?? [];
    text += `  ${arch}: {\n    flags: ${flags},\n    hex:\n${
      lines.map((line) => `      "${line}"`).join(" +\n")
    },\n  },\n`;
  }
  return new Map([["cli/run/gen/default_filter.ts", text + "} as const;\n"]]);
}
