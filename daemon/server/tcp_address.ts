/**
 * `host:port` as configurations write it.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** Where to listen. */
export interface TcpAddress {
  /** Name or address, without the brackets of IPv6; `0.0.0.0` where the text names none. */
  readonly hostname: string;
  /** 0 for one that is free. */
  readonly port: number;
}

/** The address of a text such as `127.0.0.1:1338`, `[::1]:0` or `:1338`. Throws `InvalidArgument`. */
export function parseTcpAddress(text: string): TcpAddress {
  const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65535) {
    throw new Failure(
      "InvalidArgument",
      `"${text}" is no address to listen on: want HOST:PORT, such as 127.0.0.1:1338`,
    );
  }
  return { hostname: bracketed ?? (plain || "0.0.0.0"), port };
}

/** Whether only this machine reaches it. */
export function isLoopback({ hostname }: TcpAddress): boolean {
  return hostname === "localhost" || hostname === "::1" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
