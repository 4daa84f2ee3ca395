/**
 * `barge` without a command that it knows.
 *
 * @module
 */
import { nearestName } from "../api/nearest_name.ts";

const commands: readonly [name: string, description: string][] = [
  ["run", "Run a program in a container from an image, without a daemon"],
  ["oci", "The OCI runtime: create, start, state, kill, delete, exec, run, plan"],
  ["daemon", "The daemon, with containerd's API, configuration and flags"],
  ["gc", "Collect garbage, or show what would go and why"],
  ["why", "Show what keeps a blob, snapshot or image from being collected"],
  ["df", "Show what takes the disk"],
  ["doctor", "Say what is wrong with a store, and repair it"],
  ["adopt", "Take over what a stock containerd knows"],
  ["help", "Show this text"],
  ["version", "Say which version this is"],
];

/** Prints the commands; with an unknown word, what may have been meant, and fails. */
export function main([word]: string[]): Promise<number> {
  if (word === undefined || word === "help" || word === "--help" || word === "-h") {
    const width = Math.max(...commands.map(([name]) => name.length));
    const lines = commands.map(([name, description]) => `  ${name.padEnd(width)}  ${description}`);
    console.log(`Usage: barge COMMAND [arguments]\n\nCommands:\n${lines.join("\n")}\n\nTry: barge run hello`);
    return Promise.resolve(0);
  }
  const near = nearestName(word, commands.map(([name]) => name));
  const hint = near === undefined ? "barge help lists the commands" : `did you mean "barge ${near}"?`;
  console.error(`barge: "${word}" is no command of barge: ${hint}`);
  return Promise.resolve(125);
}
