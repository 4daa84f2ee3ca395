/**
 * What shims are told on standard input by `start`: the runtime options alone, as containerd 1.x and 2.0 to 2.2 do it, or
 * `BootstrapParams`, as it does since. A shim takes one of them and refuses the other; what it says of itself tells which.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { BootstrapParams } from "../../api/gen/runtime/bootstrap/v1/bootstrap.ts";
import type { RuntimeInfo } from "../../api/gen/types/introspection.ts";
import { version } from "../../api/version.ts";
import type { ShimSubject, ShimSurroundings } from "./shim_program.ts";

/** See the module. */
export type StartForm = "options" | "message";

/** Paths of programs come from clients. */
const programsMax = 100;
/** Of `slog`, which the message has the levels of. */
const debugLevel = -4;

/** The form of the input that a shim takes, as it says of itself. */
export function formOf({ name, version }: RuntimeInfo): StartForm {
  // Others have versions of their own; those of them that want the message refuse the options in words.
  if (name !== "io.containerd.runc.v2") return "options";
  const [, major, minor] = /^v?(\d+)\.(\d+)\./.exec(version?.version ?? "") ?? [];
  const [first, second] = [Number(major ?? 0), Number(minor ?? 0)];
  return first > 2 || first === 2 && second >= 3 ? "message" : "options";
}

/** Whether a shim that was given the options has refused them as it wants the message. */
export function wantsMessage(error: unknown): boolean {
  return messageOf(error).includes("through the deprecated API");
}

/** The bytes; undefined where there are none. */
export function startInput(
  form: StartForm,
  { address, ttrpcAddress, publishBinary, debug }: ShimSurroundings,
  { namespace, id }: ShimSubject,
  options: Any | undefined,
): Uint8Array | undefined {
  if (form === "options") return options === undefined ? undefined : Any.encode(options).finish();
  return BootstrapParams.encode(BootstrapParams.create({
    instanceId: id,
    namespace,
    logLevel: debug ? debugLevel : 0,
    containerdVersion: version,
    containerdTtrpcAddress: ttrpcAddress,
    containerdGrpcAddress: address,
    containerdBinary: publishBinary,
    extensions: options === undefined ? [] : [{ value: options }],
  })).finish();
}

/** Remembers the forms of programs, each until it is replaced by another one. */
export class StartForms {
  readonly #known = new Map<string, { readonly file: string; readonly form: Promise<StartForm> }>();

  /** The program's form; `ask` asks it what it is, and a program that does not know takes the options. */
  of(program: string, ask: () => Promise<RuntimeInfo>): Promise<StartForm> {
    const file = fileOf(program);
    const known = this.#known.get(program);
    if (known?.file === file) return known.form;
    const form = ask().then(formOf, (): StartForm => "options");
    this.#note(program, file, form);
    return form;
  }

  /** Notes what has turned out. */
  note(program: string, form: StartForm): void {
    this.#note(program, fileOf(program), Promise.resolve(form));
  }

  #note(program: string, file: string, form: Promise<StartForm>): void {
    if (this.#known.size >= programsMax) this.#known.clear();
    this.#known.set(program, { file, form });
  }
}

function fileOf(program: string): string {
  try {
    const { dev, ino, mtime, size } = Deno.statSync(program);
    return [dev, ino, mtime?.getTime(), size].join(" ");
  } catch {
    // It cannot be started either, and that is told.
    return "";
  }
}
