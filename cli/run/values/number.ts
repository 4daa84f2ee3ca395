/**
 * Numbers with a range.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/** A parser of whole decimal numbers from `least` to `most`, which `want` describes. */
export function wholeNumber(least: number, most: number, want: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d{1,15}$/.test(text) || value < least || value > most) {
      throw new Failure("InvalidArgument", `want ${want}`);
    }
    return value;
  };
}
