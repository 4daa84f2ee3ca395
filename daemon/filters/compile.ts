/**
 * Filters as functions over whatever has named fields.
 *
 * @module
 */
import { type Filter, parseFilter, type Selector } from "./parse.ts";
import { compileRegexp } from "./regexp.ts";

/** Gives a field of an object; undefined where it has none. Keys of maps may be spread over several components. */
export type FieldReader = (fieldpath: readonly string[]) => string | undefined;

/** Whether an object passes. */
export type Matcher = (adaptor: FieldReader) => boolean;

/**
 * One function for a list of filters: an object passes when any of them holds; with no filter, or an empty one, all
 * pass. Throws `InvalidArgument` where one cannot be read. An invalid regular expression is no error: its selector
 * does not hold, as in containerd. The function itself throws `ResourceExhausted` where a hostile regular expression
 * would take too long, see {@link compileRegexp}.
 */
export function compileFilters(texts: readonly string[]): Matcher {
  const filters = texts.map((text) => parseFilter(text).map(compileSelector));
  if (filters.length === 0 || filters.some((selectors) => selectors.length === 0)) return () => true;
  return (adaptor) => filters.some((selectors) => selectors.every((holds) => holds(adaptor)));
}

function compileSelector({ path, operator, value }: Selector): Matcher {
  switch (operator) {
    case "present":
      return (adaptor) => adaptor(path) !== undefined;
    case "==":
      return (adaptor) => adaptor(path) === value;
    case "!=":
      return (adaptor) => (adaptor(path) ?? "") !== value;
    case "~=": {
      const matches = compileRegexp(value);
      if (matches === undefined) return () => false;
      return (adaptor) => matches(adaptor(path) ?? "");
    }
  }
}

/**
 * The only values of `path` with which an object can pass, without repetitions; undefined where the filters allow
 * others. A store looks these up instead of reading everything, and asks {@link compileFilters} about what it finds.
 */
export function exactValues(texts: readonly string[], path: readonly string[]): string[] | undefined {
  if (texts.length === 0) return undefined;
  const key = path.join(".");
  const valueOf = (filter: Filter) =>
    filter.find((selector) => selector.operator === "==" && selector.path.join(".") === key)?.value;
  const values = texts.map((text) => valueOf(parseFilter(text)));
  return values.every((value) => value !== undefined) ? [...new Set(values)] : undefined;
}
