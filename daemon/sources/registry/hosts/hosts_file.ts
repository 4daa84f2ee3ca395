/**
 * The file `hosts.toml`: where else a registry's images can be had, and how its hosts are spoken to.
 *
 * @module
 */
import { Failure, messageOf } from "../../../../api/errors.ts";
import { parseDuration } from "../../../config/duration.ts";
import type { ClientPair, HostEntry, HostTls } from "./host_entry.ts";

/** What a file says. */
export interface HostsFile {
  /** In the order in which they are asked; the registry's own server is the last one. */
  readonly entries: readonly HostEntry[];
  /** Keys that mean nothing. */
  readonly unknown: readonly string[];
}

type Table = Record<string, unknown>;

const capabilities = ["pull", "resolve", "push", "referrers"];
const hostKeys = ["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout"];

/** Reads the file's text; relative paths in it are of `directory`. Throws `InvalidArgument`, also for a wrong value. */
export async function parseHostsFile(text: string, directory: string): Promise<HostsFile> {
  const { parse, TomlError } = await import("smol-toml");
  let document: Table;
  try {
    document = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new Failure("InvalidArgument", messageOf(error), { cause: error });
  }
  const { server = "", host: hosts = {}, ...own } = document;
  if (typeof server !== "string") throw wrong("server", server, "a URL");
  if (!isTable(hosts)) throw wrong("host", hosts, 'tables such as [host."https://mirror.example"]');
  const unknown = Object.keys(own).filter((key) => !hostKeys.includes(key));
  const entries = Object.entries(hosts).map(([url, table]): HostEntry => {
    if (!isTable(table)) throw wrong(`host."${url}"`, table, "a table");
    const strange = Object.keys(table).filter((key) => !hostKeys.includes(key));
    unknown.push(...strange.map((key) => `host."${url}".${key}`));
    return entryOf(url, table, directory);
  });
  entries.push(serverEntry(server, own, directory));
  return { entries, unknown };
}

/** The upstream. Where its address is not said, it is the registry, which can do everything at its usual path. */
function serverEntry(server: string, table: Table, directory: string): HostEntry {
  if (server !== "") return entryOf(server, table, directory);
  const { resolves: _resolves, pulls: _pulls, ...rest } = settingsOf(table, directory);
  return { ...rest, resolves: true, pulls: true };
}

function entryOf(url: string, table: Table, directory: string): HostEntry {
  const override = table["override_path"] ?? false;
  if (typeof override !== "boolean") throw wrong("override_path", override, "true or false");
  return { ...settingsOf(table, directory), address: addressOf(url, override) };
}

function addressOf(text: string, override: boolean): URL {
  const full = text.includes("://") ? text : `https://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new Failure("InvalidArgument", `"${text}" is no address of a host: want a URL of http or https`);
  }
  const path = url.pathname.replace(/\/+/g, "/").replace(/\/$/, "");
  url.pathname = override || path.endsWith("/v2") ? path : `${path}/v2`;
  url.search = url.hash = "";
  return url;
}

function settingsOf(table: Table, directory: string): Omit<HostEntry, "address"> {
  const listed = stringsOf(table["capabilities"] ?? [], "capabilities").map((name) => name.toLowerCase());
  const strange = listed.find((name) => !capabilities.includes(name));
  if (strange !== undefined) throw wrong("capabilities", strange, capabilities.join(", "));
  const can = (name: string) => listed.length === 0 || listed.includes(name);
  const tls = tlsOf(table, directory);
  const dial = table["dial_timeout"] ?? "";
  if (typeof dial !== "string") throw wrong("dial_timeout", dial, 'a duration such as "5s"');
  return {
    pulls: can("pull"),
    resolves: can("pull") && can("resolve"),
    headers: headersOf(table["header"] ?? {}),
    ...(tls === undefined ? {} : { tls }),
    ...(dial === "" ? {} : { dialMsMax: parseDuration(dial) }),
  };
}

function headersOf(value: unknown): [string, string][] {
  if (!isTable(value)) throw wrong("header", value, "a table of names and values");
  return Object.entries(value).flatMap(([name, given]) => {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw wrong("header", name, "names of headers");
    const values = typeof given === "string" ? [given] : stringsOf(given, `header."${name}"`);
    // deno-lint-ignore no-control-regex -- which are what a header cannot hold
    if (values.some((text) => !/^[^\x00-\x08\x0a-\x1f\x7f\u0100-\uffff]*$/.test(text))) {
      throw wrong(`header."${name}"`, values, "printable texts");
    }
    return values.map((text): [string, string] => [name, text]);
  });
}

function tlsOf(table: Table, directory: string): HostTls | undefined {
  const { ca, client, skip_verify: skipVerify } = table;
  if (skipVerify !== undefined && typeof skipVerify !== "boolean") {
    throw wrong("skip_verify", skipVerify, "true or false");
  }
  if (ca === undefined && client === undefined && skipVerify === undefined) return undefined;
  const place = (path: string) => path.startsWith("/") ? path : `${directory}/${path}`;
  const authorities = ca === undefined ? [] : typeof ca === "string" ? [ca] : stringsOf(ca, "ca");
  const pairs = client === undefined ? [] : pairsOf(client, place);
  if (pairs.length > 1) {
    throw new Failure("InvalidArgument", `"client" has ${pairs.length} certificates: one can be sent to a host`);
  }
  return {
    authorities: authorities.map(place),
    ...(pairs[0] === undefined ? {} : { client: pairs[0] }),
    ...(skipVerify === undefined ? {} : { skipVerify }),
  };
}

/** A file of both, a list of such, or a list of pairs of files. */
function pairsOf(value: unknown, place: (path: string) => string): ClientPair[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  return items.map((item) => {
    const [certificate, key = certificate, ...more] = typeof item === "string" ? [item] : stringsOf(item, "client");
    if (certificate === undefined || key === undefined || more.length > 0) {
      throw wrong("client", item, "a file, or a pair of certificate and key");
    }
    return { certificate: place(certificate), key: place(key) };
  });
}

function stringsOf(value: unknown, name: string): string[] {
  const isList = Array.isArray(value) && value.every((item): item is string => typeof item === "string");
  if (!isList) throw wrong(name, value, "a list of texts");
  return value;
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function wrong(name: string, value: unknown, want: string): Failure {
  const shown = (JSON.stringify(value, (_key, part) => typeof part === "bigint" ? String(part) : part) ?? "").slice(
    0,
    80,
  );
  return new Failure("InvalidArgument", `"${name}" is ${shown}: want ${want}`);
}
