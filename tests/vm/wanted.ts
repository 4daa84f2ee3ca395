/**
 * Whether the tests in virtual machines are wanted: they take six minutes more than all others together may.
 *
 * @module
 */

/** Why they are left out; undefined where `BARGE_VM` asks for them. */
export function notWanted(): string | undefined {
  return Deno.env.has("BARGE_VM") ? undefined : "takes six minutes: deno task test:vm";
}

/** What the names of the cases to be run have in them; all have the empty text. */
export function wantedCases(): string {
  const word = Deno.env.get("BARGE_VM") ?? "";
  return word === "all" ? "" : word;
}
