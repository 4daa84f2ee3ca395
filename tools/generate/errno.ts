/**
 * Error numbers, the same on x86_64 and aarch64 (both use asm-generic), with the C library's texts.
 *
 * @module
 */
import { banner } from "./run.ts";

const headers = ["/usr/include/asm-generic/errno-base.h", "/usr/include/asm-generic/errno.h"];

/** Go lowers the first letter of strerror's text unless an upper-case letter follows ("RFS specific error"). */
function goText(text: string): string {
  return /^[A-Z][a-z ]/.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;
}

/** The table of `ffi/errno.ts`. */
export function generateErrno(): Map<string, string> {
  const { symbols } = Deno.dlopen("libc.so.6", { strerror: { parameters: ["i32"], result: "pointer" } });
  let text = banner("asm-generic/errno.h and strerror(3)") +
    "\n/** Name → number and text. */\nexport const errnoNumbers = {\n";
  for (const header of headers) {
    for (const [, name, number] of Deno.readTextFileSync(header).matchAll(/^#define\s+(E\w+)\s+(\d+)/gm)) {
      const pointer = symbols.strerror(Number(number));
      const message = pointer === null ? "" : Deno.UnsafePointerView.getCString(pointer);
      text += `  ${name}: [${number}, ${JSON.stringify(goText(message))}],\n`;
    }
  }
  text += "} as const satisfies Record<string, readonly [number, string]>;\n";
  return new Map([["ffi/gen/errno.ts", text]]);
}
