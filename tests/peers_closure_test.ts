/**
 * What the tests open comes with the peers that they name: on a developer's machine lies more, and a package that is missing in
 * `peers.ts` would be missed on a fresh one only. `deno task test:fresh` is the whole trial; this one asks apt and dpkg.
 */
import assert from "node:assert/strict";
import { sourceFiles } from "../tools/tidy/source_file.ts";
import { needing, peers } from "./peers.ts";

const root = new URL("../", import.meta.url);

/** What a fresh machine has besides Debian's required packages: the README presumes it. */
const presumed = ["npm", "ca-certificates"];

/** Words in the tests that are names of programs as well, and mean something else there. */
const otherWords = new Set(["write", "reboot", "time", "view", "init", "file", "look", "systemd"]);

/** Programs that are looked for, and done without where they are missing. */
const optional = new Set(["systemd-analyze"]);

/** Files of the host that belong to no package, or to the virtual machine's. */
const hostFiles = [/^\/etc\//, /^\/usr\/sbin\/policy-rc\.d$/, /^\/bin\/systemctl$/];

function outputOf(words: readonly string[]): string {
  const { stdout } = new Deno.Command(words[0]!, { args: words.slice(1), stderr: "null" }).outputSync();
  return new TextDecoder().decode(stdout);
}

/** The packages that apt would install into an empty system. Empty where it has no lists of packages. */
function closureOf(packages: readonly string[]): Set<string> {
  const options = ["-s", "-o", "Dir::State::status=/dev/null", "--no-install-recommends"];
  return new Set(
    [...outputOf(["apt-get", ...options, "install", ...packages]).matchAll(/^Inst (\S+)/gm)].map(([, name]) => name!),
  );
}

/** Those that are in every Debian. */
function requiredPackages(): Set<string> {
  const lines = outputOf(["dpkg-query", "-W", "-f", "${Package} ${Priority} ${Essential}\n"]).split("\n");
  return new Set(lines.filter((line) => / required | yes$/.test(line)).map((line) => line.split(" ")[0]!));
}

const directories = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

function realFile(path: string): string | undefined {
  try {
    const real = Deno.realPathSync(path);
    return Deno.statSync(real).isFile ? real : undefined;
  } catch {
    return undefined; // Not here: then nothing has opened it.
  }
}

/** Names of programs and paths in the tests and their tools → the file here, and a module that has the word. */
function filesNamed(): Map<string, { word: string; module: string }> {
  const found = new Map<string, { word: string; module: string }>();
  for (const { path: module, text } of sourceFiles(root)) {
    if (!/^(?:tests|tools\/(?:test|generate|tidy))\/.*\.ts$/.test(module) || module === "tests/peers_closure_test.ts") {
      continue;
    }
    for (
      const [, name, path] of text.matchAll(
        /"([\w.+-]{2,40})"|["'`](\/(?:usr|bin|sbin|lib|lib64|etc)\/[\w.+/-]+)["'`]/g,
      )
    ) {
      const word = name ?? path!;
      if (otherWords.has(word) || optional.has(word) || hostFiles.some((pattern) => pattern.test(word))) continue;
      const file = path === undefined
        ? directories.map((one) => realFile(`${one}/${name}`)).find((one) => one)
        : realFile(path);
      if (file !== undefined) found.set(file, { word, module });
    }
  }
  return found;
}

/** dpkg's lists of what each package has. */
const listsPath = "/var/lib/dpkg/info";

/** File → packages that have it. Those of none are left out: what somebody has installed by hand. */
function ownersOf(files: ReadonlySet<string>): Map<string, string[]> {
  const owners = new Map<string, string[]>();
  for (const { name } of Deno.readDirSync(listsPath)) {
    if (!name.endsWith(".list")) continue;
    for (const line of Deno.readTextFileSync(`${listsPath}/${name}`).split("\n")) {
      // Packages name files as they did before /bin became a link.
      const file = files.has(line) ? line : `/usr${line}`;
      if (files.has(file)) owners.set(file, [...owners.get(file) ?? [], name.replace(/(?::\w+)?\.list$/, "")]);
    }
  }
  return owners;
}

const hasLists = (() => {
  try {
    return closureOf(["dpkg"]).size > 0;
  } catch {
    return false; // No apt: another distribution.
  }
})();

Deno.test({
  ...needing("every file that the tests open comes with the packages that they name", {
    other: hasLists ? undefined : "no lists of Debian's packages",
  }),
  fn: () => {
    const wanted = closureOf([...presumed, ...Object.values(peers).map((peer) => peer.package)]);
    const required = requiredPackages();
    assert.ok(wanted.size > 100, "apt-get names no packages");
    const files = filesNamed();
    const owners = ownersOf(new Set(files.keys()));
    assert.ok(owners.size > 50, "dpkg knows none of the files");
    const missing = [...owners].filter(([, names]) => !names.some((name) => wanted.has(name) || required.has(name)))
      .map(([file, names]) =>
        `${files.get(file)!.module}: "${files.get(file)!.word}" is ${file} of ${names.join(", ")}`
      );
    assert.deepEqual(missing, [], "packages that are missing in tests/peers.ts");
  },
});
