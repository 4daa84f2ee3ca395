/**
 * Names that barge's own shim goes by.
 *
 * @module
 */
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { optionsType } from "../../shim/task/runtime_options.ts";

const ownName = "/containerd-shim-ts-v2";
/** The name of containerd's shim, which some clients know alone. */
const containerdsName = "/containerd-shim-runc-v2";

/** Paths come from clients. */
const linksMax = 100;
const known = new Map<string, { readonly file: string; readonly isOwn: boolean }>();

/** Whether the program is barge's own shim: by its name, or by another shim's that is a link to barge. */
export function isOwnShim(program: string): boolean {
  return program.endsWith(ownName) || isLinkToBarge(program);
}

function isLinkToBarge(program: string): boolean {
  if (!/\/containerd-shim-[^/]+$/.test(program)) return false;
  try {
    const { isSymlink, ino, mtime } = Deno.lstatSync(program);
    if (!isSymlink) return false;
    const file = `${ino} ${mtime?.getTime()}`;
    const found = known.get(program);
    if (found?.file === file) return found.isOwn;
    const isOwn = Deno.realPathSync(program).endsWith("/barge");
    if (known.size >= linksMax) known.clear();
    known.set(program, { file, isOwn });
    return isOwn;
  } catch {
    // What is not there is nobody's.
    return false;
  }
}

/**
 * The options as barge's shim is to have them. By the name of containerd's shim it is asked for runc, which Docker names in
 * the options as well: its containers are made in the shim, as are all others that name no runtime.
 */
export function optionsForOwn(program: string, any: Any | undefined): Any | undefined {
  if (any === undefined || !any.typeUrl.endsWith(optionsType)) return any;
  if (!program.endsWith(containerdsName) || !isOwnShim(program)) return any;
  let options: Options;
  try {
    options = Options.decode(any.value);
  } catch {
    // The shim says so.
    return any;
  }
  if (options.binaryName !== "runc") return any;
  const value = Options.encode({ ...options, binaryName: "" }).finish();
  return value.length === 0 ? undefined : Any.create({ typeUrl: any.typeUrl, value });
}

/** Whether both are the same program under different names. */
export function isSameProgram(one: string, other: string): boolean {
  if (one === other) return true;
  try {
    return Deno.realPathSync(one) === Deno.realPathSync(other);
  } catch {
    return false;
  }
}
