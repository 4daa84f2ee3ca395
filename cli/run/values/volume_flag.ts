/**
 * `--volume SOURCE:TARGET[:OPTIONS]`.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { parseTarget } from "./target.ts";
import { type BindRequest, isPropagation, type Propagation } from "./volume.ts";

const syntax = "SOURCE:TARGET[:OPTIONS] such as ./data:/data:ro";

/**
 * The bind mount of a text such as `./data:/data:ro`. Throws `InvalidArgument` for a named or anonymous volume, an
 * unknown option, or options that contradict each other.
 */
export function parseVolume(text: string): BindRequest {
  const parts = text.split(":");
  if (parts.length < 2) {
    throw new Failure("InvalidArgument", `anonymous volumes are not supported: want ${syntax}`);
  }
  const [source = "", target = "", options] = parts;
  if (parts.length > 3 || source === "" || target === "") throw new Failure("InvalidArgument", `want ${syntax}`);
  if (!isPath(source)) {
    throw new Failure(
      "InvalidArgument",
      `named volumes are not supported: want a path as the source, as ./${source} for a directory here`,
    );
  }
  const parsed = parseOptions(options === undefined ? [] : options.split(","));
  return { type: "bind", source, target: parseTarget(target), createSource: true, ...parsed };
}

/** As docker's command line: a path begins with a slash, or names this or the directory above. */
function isPath(source: string): boolean {
  return source.startsWith("/") || /^\.\.?(\/|$)/.test(source);
}

/** How docker keeps copies in step on other systems than Linux; here there is one file. */
const consistencies: ReadonlySet<string> = new Set(["cached", "consistent", "delegated"]);

function parseOptions(
  options: readonly string[],
): Pick<BindRequest, "readonly" | "propagation" | "recursive" | "relabel"> {
  let mode: "ro" | "rw" | undefined;
  let propagation: Propagation | undefined;
  let bind: "bind" | "rbind" | undefined;
  let label: "z" | "Z" | undefined;
  let consistency: string | undefined;
  const twice = (former: string | undefined, option: string): void => {
    if (former !== undefined && former !== option) {
      throw new Failure("InvalidArgument", `want only one of the options ${former} and ${option}`);
    }
  };
  for (const option of options) {
    if (option === "ro" || option === "rw") {
      twice(mode, option);
      mode = option;
    } else if (isPropagation(option)) {
      twice(propagation, option);
      propagation = option;
    } else if (option === "bind" || option === "rbind") {
      twice(bind, option);
      bind = option;
    } else if (option === "z" || option === "Z") {
      twice(label, option);
      label = option;
    } else if (consistencies.has(option)) {
      twice(consistency, option);
      consistency = option;
    } else {
      throw new Failure("InvalidArgument", `want the options ro, rw, bind, rbind, z or a propagation, not "${option}"`);
    }
  }
  return {
    readonly: mode === "ro",
    propagation: propagation ?? "rprivate",
    recursive: bind !== "bind",
    ...(label === undefined ? {} : { relabel: true }),
  };
}
