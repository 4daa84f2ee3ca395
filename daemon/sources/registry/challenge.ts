/**
 * The `WWW-Authenticate` header (RFC 9110, section 11).
 *
 * @module
 */

/** One challenge: the scheme in lower case, the parameters by lower-case name. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/**
 * The challenges of a header's value. `fetch` joins several header lines by a comma, which also stands between
 * parameters: a word that no `=` follows starts a new challenge. What cannot be read ends the list.
 */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  // A word, then either "=" with a token or quoted string, or nothing; separators in front.
  const item = /[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/y;
  for (let match = item.exec(header); match !== null; match = item.exec(header)) {
    const [, word = "", quoted, token] = match;
    if (quoted === undefined && token === undefined) {
      challenges.push({ scheme: word.toLowerCase(), parameters: new Map() });
      continue;
    }
    const value = quoted === undefined ? token ?? "" : quoted.replace(/\\(.)/g, "$1");
    challenges.at(-1)?.parameters.set(word.toLowerCase(), value);
  }
  return challenges;
}

/** The challenge that barge can answer: Bearer before Basic, as containerd prefers. */
export function usableChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  return challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm")) ??
    challenges.find(({ scheme }) => scheme === "basic");
}
