/**
 * `barge why`: what keeps an object from being collected.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { findObjects } from "../../daemon/gc/find_objects.ts";
import { type ChainStep, isRoot, whyKept } from "../../daemon/gc/keepers.ts";
import type { ObjectName, Reader } from "../../daemon/gc/reader.ts";
import { perform, type StoreCommand } from "./command.ts";
import { describe, describeReference } from "./names.ts";
import { findRoot, placeFlags, readRoot } from "./place.ts";

const flags = {
  ...placeFlags,
  all: { kind: "boolean", short: "a", help: "Show every chain (default: the ten shortest)" },
} as const;

const fewChains = 10;
const manyChains = 10_000;

const command: StoreCommand<typeof flags> = {
  name: "why",
  flags,
  help: {
    usage: "barge why [flags] DIGEST|SNAPSHOT|IMAGE|CONTAINER|LEASE...",
    description: "Shows the chain of references that keeps an object from being collected. A digest may be shortened.",
  },
  perform: ({ root, namespace, json, all }, names) => {
    if (names.length === 0) throw new Failure("InvalidArgument", "name at least one object: barge why DIGEST");
    using reader = readRoot(findRoot(root));
    const answers = names.flatMap((name) => answersFor(reader, name, namespace, all ? manyChains : fewChains));
    if (json) console.log(JSON.stringify(answers, null, 2));
    else console.log(answers.map(render).join("\n\n"));
    return Promise.resolve(0);
  },
};

interface Answer {
  readonly object: ObjectName;
  readonly chains: readonly (readonly ChainStep[])[];
  readonly more: boolean;
}

function answersFor(reader: Reader, name: string, namespace: string | undefined, chainsMax: number): Answer[] {
  const objects = findObjects(reader, name, namespace);
  if (objects.length === 0) {
    const where = namespace === undefined ? "in any namespace" : `in namespace "${namespace}"`;
    throw new Failure("NotFound", `there is no object "${name}" ${where}`);
  }
  const now = Date.now();
  return objects.map((object) => ({
    object,
    ...whyKept(reader, object, (other) => isRoot(reader, other, now), { now, chainsMax }),
  }));
}

function render({ object, chains, more }: Answer): string {
  const title = `${describe(object)} in namespace "${object.namespace}"`;
  if (chains.length === 0) return `${title}\n  is kept by nothing: the next collection removes it`;
  const lines = chains.map((chain) =>
    chain.length === 1 ? "  is itself a root: it stays until it is removed" : tree(chain)
  );
  return [`${title} is kept by`, ...lines, ...(more ? ["  and more: see --all"] : [])].join("\n");
}

function tree(chain: readonly ChainStep[]): string {
  return chain.map(({ object }, depth) => {
    const by = depth === 0 ? undefined : chain[depth - 1]!.by;
    const name = depth === chain.length - 1 ? "this" : describe(object);
    return "  ".repeat(depth + 1) + (by === undefined ? name : `${name} ${describeReference(by)}`);
  }).join("\n");
}

/** Performs the command line; gives the exit code. */
export function main(args: string[]): Promise<number> {
  return perform(command, args);
}
