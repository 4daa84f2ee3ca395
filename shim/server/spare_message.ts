/**
 * What barge's daemon and a shim that it has started ahead say to each other: one JSON object in a parcel. The shim is
 * `ready`; told to `serve`, with the listening socket, it answers `serves` or why it has `failed`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { ServerSubject } from "./server_command.ts";
import { groupingOf, placesOf } from "./grouping.ts";

/** What a spare shim becomes. */
export interface SpareWork {
  readonly subject: ServerSubject;
  /** Path of the socket. */
  readonly socket: string;
  /** The runtime option; empty without one. */
  readonly shimCgroup: string;
  /** Path of the daemon's socket where it leaves what its successors need; empty where it is not to. */
  readonly deposit: string;
}

/** See the module. */
export type SpareMessage =
  | { readonly says: "ready"; readonly version: string }
  | { readonly says: "serve"; readonly work: SpareWork }
  | { readonly says: "serves" }
  | { readonly says: "failed"; readonly reason: string };

/** The text of a message. */
export function spareText(message: SpareMessage): string {
  return JSON.stringify(message);
}

/** Reads a text. Throws `InvalidArgument`. */
export function parseSpare(text: string): SpareMessage {
  let found: Fields;
  try {
    found = fieldsOf(JSON.parse(text));
  } catch (error) {
    throw new Failure("InvalidArgument", "a message about a spare shim is no JSON object", { cause: error });
  }
  switch (found["says"]) {
    case "ready":
      return { says: "ready", version: textOf(found, "version") };
    case "serve":
      return { says: "serve", work: workOf(fieldsOf(found["work"])) };
    case "serves":
      return { says: "serves" };
    case "failed":
      return { says: "failed", reason: textOf(found, "reason") };
  }
  throw new Failure(
    "InvalidArgument",
    `a message about a spare shim is ${text.slice(0, 200)}: want ready, serve, serves or failed`,
  );
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  if (typeof value === "object" && value !== null) return value as Fields; // Its values are looked at one by one.
  throw new Failure("InvalidArgument", `a message about a spare shim has ${value}: want an object`);
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === "string") return value;
  throw new Failure("InvalidArgument", `a message about a spare shim has the ${name} ${value}: want a text`);
}

function workOf(fields: Fields): SpareWork {
  const given = fieldsOf(fields["subject"]);
  const text = (name: string): string => textOf(given, name);
  return {
    subject: {
      ...{ namespace: text("namespace"), id: text("id"), bundle: text("bundle"), address: text("address") },
      ...{ ttrpcAddress: text("ttrpcAddress"), publishBinary: text("publishBinary"), debug: given["debug"] === true },
      ...{ grouping: groupingOf(text("grouping")), places: placesOf(String(given["places"])) },
    },
    ...{ socket: textOf(fields, "socket"), shimCgroup: textOf(fields, "shimCgroup") },
    deposit: textOf(fields, "deposit"),
  };
}
