/**
 * Where a bus listens (D-Bus Specification, "Server Addresses").
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/**
 * Paths of the unix sockets of an address, in order; a first zero byte stands for an abstract one. Other transports are
 * left out. Throws `InvalidArgument` where nothing remains.
 */
export function socketPaths(address: string): string[] {
  const paths = address.split(";").flatMap((each) => {
    const parameters = /^unix:(.*)$/.exec(each)?.[1]?.split(",") ?? [];
    return parameters.flatMap((parameter) => {
      const [key, value] = splitOnce(parameter);
      if (key === "path") return [unescape(value)];
      return key === "abstract" ? [`\0${unescape(value)}`] : [];
    });
  });
  if (paths.length > 0) return paths;
  throw new Failure("InvalidArgument", `cannot use the D-Bus address "${address}": want "unix:path=" and a path`);
}

function splitOnce(parameter: string): [string, string] {
  const equals = parameter.indexOf("=");
  return equals < 0 ? [parameter, ""] : [parameter.slice(0, equals), parameter.slice(equals + 1)];
}

/** Bytes are written as `%20`. */
function unescape(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    throw new Failure("InvalidArgument", `cannot use the D-Bus address's "${value}": it is not escaped well`, {
      cause,
    });
  }
}
