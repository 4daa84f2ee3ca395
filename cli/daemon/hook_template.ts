/**
 * The templates of `oci-hook`: what Go's text/template makes of a text with calls in double braces, as far as hooks use it.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** What a template may call: how many texts it takes, and what it gives. */
export interface HookFunction {
  readonly takes: number;
  readonly give: (...texts: string[]) => string;
}

/** By name. */
export type HookFunctions = Readonly<Record<string, HookFunction>>;

const token = /\s*(?:(\|)|("(?:[^"\\\n]|\\.)*"|`[^`]*`)|([A-Za-z_]\w*)(?=[\s|]|$)|(\S+))/gy;

/**
 * The text with its actions replaced: `{{ id }}`, `{{ annotation "key" }}`, pipes of such, and comments. Throws
 * `InvalidArgument` for all other actions.
 */
export function renderTemplate(text: string, functions: HookFunctions): string {
  let result = "", trims = false;
  for (let at = 0;;) {
    const open = text.indexOf("{{", at);
    const before = text.slice(at, open === -1 ? text.length : open);
    const plain = trims ? before.trimStart() : before;
    if (open === -1) return result + plain;
    const close = closingOf(text, open + 2);
    let inner = text.slice(open + 2, close);
    // A minus sign takes the white space away that is beside the action.
    const trimsBefore = /^-\s/.test(inner);
    result += trimsBefore ? plain.trimEnd() : plain;
    if (trimsBefore) inner = inner.slice(2);
    trims = /\s-$/.test(inner);
    if (trims) inner = inner.slice(0, -2);
    const isComment = inner.startsWith("/*") && inner.endsWith("*/") && inner.length >= 4;
    if (!isComment) result += evaluate(inner, text, functions);
    at = close + 2;
  }
}

/** Where the action that begins there is closed; quoted texts may hold braces. */
function closingOf(text: string, from: number): number {
  let quote = "";
  for (let at = from; at < text.length; at++) {
    const character = text[at]!;
    if (quote === "" && text.startsWith("}}", at)) return at;
    if (quote === "" && (character === '"' || character === "`")) quote = character;
    else if (quote === '"' && character === "\\") at++;
    else if (character === quote) quote = "";
  }
  throw refuse(text, "unclosed action");
}

function evaluate(inner: string, text: string, functions: HookFunctions): string {
  let result: string | undefined;
  for (const words of commandsOf(inner, text)) {
    const [first, ...rest] = words;
    if (first === undefined) throw refuse(text, "missing value for command");
    if (first.kind === "text") {
      if (rest.length > 0 || result !== undefined) throw refuse(text, `${JSON.stringify(first.value)} is no function`);
      result = first.value;
      continue;
    }
    const called = functionOf(first.value, text, functions);
    const given = rest.map(({ kind, value }) =>
      kind === "text" ? value : call(functionOf(value, text, functions), value, [], text)
    );
    result = call(called, first.value, result === undefined ? given : [...given, result], text);
  }
  return result ?? "";
}

function functionOf(name: string, text: string, functions: HookFunctions): HookFunction {
  const found = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (found === undefined) {
    throw refuse(text, `function "${name}" not defined: there are ${Object.keys(functions).join(", ")}`);
  }
  return found;
}

function call({ takes, give }: HookFunction, name: string, given: readonly string[], text: string): string {
  if (given.length !== takes) {
    throw refuse(text, `wrong number of args for ${name}: want ${takes} got ${given.length}`);
  }
  return give(...given);
}

interface Word {
  readonly kind: "name" | "text";
  readonly value: string;
}

function commandsOf(inner: string, text: string): Word[][] {
  const commands: Word[][] = [[]];
  const body = inner.trimEnd();
  token.lastIndex = 0;
  while (token.lastIndex < body.length) {
    const [, pipe, quoted, name, other] = token.exec(body) ?? [];
    if (pipe !== undefined) commands.push([]);
    else if (quoted !== undefined) commands.at(-1)!.push({ kind: "text", value: unquote(quoted, text) });
    else if (name !== undefined) commands.at(-1)!.push({ kind: "name", value: name });
    else throw refuse(text, `unexpected ${JSON.stringify(other ?? "")} in command: want a function and quoted texts`);
  }
  return commands;
}

/** A Go string in quotes or back quotes. JSON has the same escapes but for a few, which are refused. */
function unquote(quoted: string, text: string): string {
  if (quoted.startsWith("`")) return quoted.slice(1, -1);
  try {
    const value: unknown = JSON.parse(quoted);
    if (typeof value === "string") return value;
  } catch {
    // As below.
  }
  throw refuse(text, `bad string ${quoted}`);
}

function refuse(text: string, why: string): Failure {
  return new Failure("InvalidArgument", `template ${JSON.stringify(text.slice(0, 200))}: ${why}`);
}
