/**
 * Keeps the memory of an idle daemon small.
 *
 * @module
 */
import { returnFreeMemory } from "../../ffi/free_memory.ts";
import { returnProgramPages } from "../../ffi/program_pages.ts";

/** After the start, most of what was read for it is free. */
const firstMs = 500;
const everyMs = 10_000;

/** Gives free memory back now and then; the returned function ends that. Keeps no process alive. */
export function returnMemoryRegularly(): () => void {
  const giveBack = (): void => {
    returnFreeMemory();
    returnProgramPages();
  };
  const first = setTimeout(giveBack, firstMs);
  const later = setInterval(giveBack, everyMs);
  Deno.unrefTimer(first);
  Deno.unrefTimer(later);
  return () => {
    clearTimeout(first);
    clearInterval(later);
  };
}
