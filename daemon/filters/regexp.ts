/**
 * RE2's regular expressions, in time linear in the text: filters come from strangers, and JavaScript's own engine can
 * be made to backtrack for hours.
 *
 * The program's possible places are followed together; each set of places, and where a character leads from it, is
 * remembered, so that ordinary patterns cost one look-up for each character.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { compileProgram, type Program } from "./regexp_program.ts";
import { type Assertion, parseRegexp } from "./regexp_syntax.ts";

/** Visits of steps that one match may take: about 20 ms. Only patterns made to be slow come near. */
const visitsMax = 1_000_000;
/** Places in all remembered sets together (1 MiB or so); when there are more, all are forgotten. */
const placesMax = 50_000;
/** Remembered characters of one set. */
const characterMemoryMax = 1000;

/** Places reached, before it is known what follows them. */
interface State {
  readonly places: readonly number[];
  readonly after: string;
  readonly next: Map<string, State | true>;
}

/**
 * Whether a text holds a match of the pattern; undefined where RE2 calls the pattern invalid, or it grows beyond
 * 10,000 steps. The function throws `ResourceExhausted` where pattern and text together would take too long.
 */
export function compileRegexp(pattern: string): ((text: string) => boolean) | undefined {
  if (/^[\w\-/:@ ]*$/.test(pattern)) return (text) => text.includes(pattern);
  const tree = parseRegexp(pattern);
  const program = tree === undefined ? undefined : compileProgram(tree);
  if (program === undefined) return undefined;
  const machine = new Machine(program);
  return (text) => machine.matches(text);
}

class Machine {
  readonly #program: Program;
  readonly #states = new Map<string, State>();
  /** The number of the walk that saw a step last. */
  readonly #seen: Uint32Array;
  #walk = 0;
  #visits = 0;
  #places = 0;

  constructor(program: Program) {
    this.#program = program;
    this.#seen = new Uint32Array(program.steps.length);
  }

  matches(text: string): boolean {
    this.#visits = 0;
    let state = this.#state([], "");
    for (const character of text) {
      const next = this.#step(state, character);
      if (next === true) return true;
      state = next;
    }
    return this.#step(state, "") === true;
  }

  /** Follows one character, or the end of the text (empty); true where a match ends before it. */
  #step(state: State, character: string): State | true {
    const known = state.next.get(character);
    if (known !== undefined) return known;
    const places = this.#follow(state, character);
    const next = places === undefined ? true : this.#state(places, contextOf(character));
    if (state.next.size >= characterMemoryMax) state.next.clear();
    state.next.set(character, next);
    return next;
  }

  /** Places behind the character, in order; undefined where a match ends before it. */
  #follow({ places, after }: State, character: string): number[] | undefined {
    const { steps, start } = this.#program;
    this.#walk++;
    const reached = new Set<number>();
    // A match may begin at each character.
    const open = [...places, start];
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      if (this.#seen[place] === this.#walk) continue;
      this.#seen[place] = this.#walk;
      if (++this.#visits > visitsMax) {
        throw new Failure("ResourceExhausted", "filters: a regular expression takes too long on this object");
      }
      const step = steps[place]!;
      switch (step.kind) {
        case "match":
          return undefined;
        case "fork":
          open.push(...step.ways);
          break;
        case "assertion":
          if (holds(step.assertion, after, character)) open.push(step.next);
          break;
        case "character":
          if (character !== "" && step.test(character)) reached.add(step.next);
      }
    }
    return [...reached].sort((a, b) => a - b);
  }

  #state(places: readonly number[], after: string): State {
    const key = `${after}:${places.join(",")}`;
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    this.#places += places.length + 1;
    if (this.#places > placesMax) {
      this.#states.clear();
      this.#places = places.length + 1;
    }
    const state: State = { places, after, next: new Map() };
    this.#states.set(key, state);
    return state;
  }
}

/** A character as far as assertions look at it: empty before the text, else of the same kind. */
function contextOf(character: string): string {
  if (character === "\n" || character === "") return character;
  return /^[0-9A-Za-z_]$/.test(character) ? "w" : ".";
}

function holds(assertion: Assertion, before: string, after: string): boolean {
  switch (assertion) {
    case "textStart":
      return before === "";
    case "textEnd":
      return after === "";
    case "lineStart":
      return before === "" || before === "\n";
    case "lineEnd":
      return after === "" || after === "\n";
    case "word":
      return (contextOf(before) === "w") !== (contextOf(after) === "w");
    case "notWord":
      return (contextOf(before) === "w") === (contextOf(after) === "w");
  }
}
