/**
 * `containerd oci-hook -- CMD ARGS`: a hook of an OCI container whose words and variables tell of the container.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { becomeProgram } from "../../ffi/exec.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { renderHelp } from "../flag_help.ts";
import { parseFlags } from "../flags.ts";
import { type HookFunctions, renderTemplate } from "./hook_template.ts";

/** The largest state that is read from the runtime: its annotations are the only part that is long. */
const stateBytesMax = 16 << 20;

const usage = "containerd oci-hook -- CMD [ARG...]";
const description =
  "Read a container's state from standard input, put what it says into the words and the variables of " +
  "a command, and become that.\n\nThey may hold {{id}}, {{bundle}}, {{rootfs}}, {{pid}}, {{status}} and " +
  '{{annotation "KEY"}}.';

/** Becomes the command; returns only with help. `args` begin after `oci-hook`. Throws what keeps it from that. */
export async function ociHook(args: string[]): Promise<number> {
  const { args: words, help } = parseFlags({}, args, { interspersed: false, singleDashLong: true });
  if (help) {
    console.log(renderHelp({ usage, description }, {}));
    return 0;
  }
  if (words.length === 0) throw new Failure("InvalidArgument", `oci-hook needs a command: ${usage}`);
  const functions = functionsOf(await readState());
  const rendered = words.map((word) => renderTemplate(word, functions));
  const { environment } = readLaunch();
  const variables = [...environment].map(([name, value]) => [name, renderTemplate(value, functions)] as const);
  const program = rendered[0]!;
  try {
    becomeProgram(program, rendered, new Map(variables));
  } catch (error) {
    throw new Failure("FailedPrecondition", `run the hook's command "${program}": ${messageOf(error)}`, {
      cause: error,
    });
  }
}

type Json = Readonly<Record<string, unknown>>;

/** What standard input holds; its end is not waited for when it is whole. */
async function readState(): Promise<Json> {
  const decoder = new TextDecoder();
  let text = "", failure = "there is nothing on standard input";
  for await (const piece of Deno.stdin.readable) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > stateBytesMax) {
      throw new Failure("InvalidArgument", `the container's state has more than ${stateBytesMax} bytes`);
    }
    if (!text.trimEnd().endsWith("}")) continue;
    try {
      return objectOf(JSON.parse(text));
    } catch (error) {
      failure = messageOf(error);
    }
  }
  throw new Failure("InvalidArgument", `standard input holds no state of a container: ${failure}`);
}

function objectOf(value: unknown): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new SyntaxError("it is no JSON object");
}

/** What templates may call. Throws where the bundle's specification cannot be read. */
function functionsOf(state: Json): HookFunctions {
  const text = (key: string) => typeof state[key] === "string" ? state[key] : "";
  const bundle = text("bundle");
  const rootfs = rootOf(bundle);
  const annotations = state["annotations"] ?? {};
  const pid = typeof state["pid"] === "number" ? state["pid"] : 0;
  const constant = (value: string) => ({ takes: 0, give: () => value });
  return {
    id: constant(text("id")),
    bundle: constant(bundle),
    rootfs: constant(rootfs),
    pid: constant(String(pid)),
    status: constant(text("status")),
    annotation: {
      takes: 1,
      give: (key) => {
        const value = Object.hasOwn(annotations, key) ? (annotations as Json)[key] : "";
        return typeof value === "string" ? value : "";
      },
    },
  };
}

function rootOf(bundle: string): string {
  const path = `${bundle}/config.json`;
  let root: unknown;
  try {
    root = objectOf(objectOf(JSON.parse(Deno.readTextFileSync(path)))["root"])["path"];
  } catch (error) {
    throw new Failure("FailedPrecondition", `read the root of the container in "${path}": ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (typeof root !== "string") throw new Failure("FailedPrecondition", `"${path}" does not say where the root is`);
  return root.startsWith("/") ? root : `${bundle}/${root}`;
}
