/**
 * Runtime options as they come from clients that know runc's for runc's name alone: Kubernetes' plugin, Docker and
 * BuildKit send all others a text (`runtimeoptions.v1.Options`), and containerd's client up to 1.7 the message of an older
 * shim (`containerd.linux.runc.CreateOptions`) for the owner of the streams.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { CreateOptions } from "../../api/gen/types/runc/linux/runc.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { Options as TextOptions } from "../../api/gen/types/runtimeoptions/v1/api.ts";
import { optionsType, type RuntimeOptions } from "./runtime_options.ts";

const textType = "runtimeoptions.v1.Options";
const createType = "containerd.linux.runc.CreateOptions";

/** The options are a dozen lines. */
const textBytesMax = 1 << 20;
const depthMax = 10;

/** Reads options of that type's name. Throws `InvalidArgument`. */
export async function foreignOptions(type: string, value: Uint8Array): Promise<RuntimeOptions> {
  switch (type) {
    case textType:
      return await textOptions(decoded(type, () => TextOptions.decode(value)));
    case createType:
      return createOptions(decoded(type, () => CreateOptions.decode(value)));
  }
  const wanted = [optionsType, textType, createType].join(", ");
  throw new Failure("InvalidArgument", `unsupported option type ${JSON.stringify(type)}: want one of ${wanted}`);
}

function decoded<T>(type: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw new Failure("InvalidArgument", `the options are no ${type}`, { cause: error });
  }
}

function createOptions(given: CreateOptions): RuntimeOptions {
  const { openTcp, externalUnixSockets, fileLocks, emptyNamespaces, cgroupsMode } = given;
  if (openTcp || externalUnixSockets || fileLocks || emptyNamespaces.length > 0 || cgroupsMode !== "") {
    const text = `the options of ${createType} for a restore are not supported: give them to the checkpoint`;
    throw new Failure("InvalidArgument", text);
  }
  // Whether there is a terminal is said by the request as well.
  const { noPivotRoot, noNewKeyring, shimCgroup, ioUid, ioGid, criuWorkPath, criuImagePath } = given;
  return Options.create({ noPivotRoot, noNewKeyring, shimCgroup, ioUid, ioGid, criuWorkPath, criuImagePath });
}

async function textOptions({ typeUrl, configPath, configBody }: TextOptions): Promise<RuntimeOptions> {
  if (typeUrl !== "" && !typeUrl.endsWith(optionsType)) {
    throw new Failure("InvalidArgument", `the options are of type ${JSON.stringify(typeUrl)}: want ${optionsType}`);
  }
  const body = configBody.length > 0 || configPath === "" ? configBody : readFile(configPath);
  if (body.length === 0) return Options.create();
  if (body.length > textBytesMax) throw new Failure("InvalidArgument", "the options' text is longer than 1 MiB");
  const { parse, TomlError } = await import("smol-toml");
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    return optionsOf(parse(text, { maxDepth: depthMax }));
  } catch (error) {
    if (error instanceof Failure) throw error;
    const where = error instanceof TomlError ? ` at line ${error.line}` : "";
    throw new Failure("InvalidArgument", `the options' text is no TOML${where}`, { cause: error });
  }
}

function readFile(path: string): Uint8Array {
  try {
    const { isFile, size } = Deno.statSync(path);
    if (!isFile) throw new Failure("InvalidArgument", `the options' file ${JSON.stringify(path)} is no regular file`);
    if (size > textBytesMax) {
      throw new Failure("InvalidArgument", `the options' file ${JSON.stringify(path)} is longer than 1 MiB`);
    }
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Failure || !(error instanceof Error)) throw error;
    throw new Failure("InvalidArgument", `cannot read the options' file ${JSON.stringify(path)}`, { cause: error });
  }
}

/** Names as in containerd's configuration, such as `BinaryName`; in Go case does not matter. */
function optionsOf(table: Readonly<Record<string, unknown>>): RuntimeOptions {
  const empty = Options.create();
  const known = new Map(Object.keys(empty).map((name) => [name.toLowerCase(), name as keyof RuntimeOptions]));
  const found: Partial<Record<keyof RuntimeOptions, unknown>> = {};
  for (const [key, value] of Object.entries(table)) {
    const name = known.get(key.toLowerCase());
    if (name === undefined) throw new Failure("InvalidArgument", `the options have no ${JSON.stringify(key)}`);
    const wanted = typeof empty[name];
    if (typeof value !== wanted || wanted === "number" && !isId(value)) {
      const words = { string: "a text", boolean: "true or false", number: "an id from 0 to 4294967295" };
      const want = words[wanted as keyof typeof words];
      throw new Failure("InvalidArgument", `the option ${key} is ${JSON.stringify(value)}: want ${want}`);
    }
    found[name] = value;
  }
  // Each value has the type of the default that it takes the place of.
  return Options.create(found as Partial<RuntimeOptions>);
}

function isId(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0xffff_ffff;
}
