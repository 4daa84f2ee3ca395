/**
 * The bundle of a container of `barge run`: a directory that lives as long as the container.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { removeTreeSync } from "../../ffi/remove_tree.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { stringifyJson } from "../../shim/oci/spec/json.ts";
import type { GeneratedFile } from "./generated_files.ts";

/** `<state>/bundles/<id>` with `config.json`, the generated files and an empty mount point `rootfs`. */
export class Bundle {
  constructor(readonly path: string) {}

  /** The bundle that a container's `config.json` lies in. */
  static of(specPath: string): Bundle {
    return new Bundle(specPath.slice(0, specPath.lastIndexOf("/")));
  }

  /** Path of `config.json`. */
  get specPath(): string {
    return `${this.path}/config.json`;
  }

  /** The directory that the root file system is mounted on, in the container's mount namespace only. */
  get rootfs(): string {
    return `${this.path}/rootfs`;
  }

  /** The directory of the runtime's states, beside that of the bundles. */
  get stateRoot(): string {
    return this.path.replace(/\/bundles\/[^/]+$/, "/oci");
  }

  /** Makes the directories. Throws `AlreadyExists` where a container has this name. */
  create(): void {
    const parent = this.path.slice(0, this.path.lastIndexOf("/"));
    Deno.mkdirSync(parent, { recursive: true, mode: 0o711 });
    try {
      Deno.mkdirSync(this.path, { mode: 0o711 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      const name = this.path.slice(parent.length + 1);
      throw new Failure("AlreadyExists", `a container named "${name}" exists already: choose another --name`, {
        cause: error,
      });
    }
    Deno.mkdirSync(this.rootfs, { mode: 0o711 });
  }

  /** Writes the spec and the files. */
  write(spec: Spec, files: readonly GeneratedFile[]): void {
    for (const { name, text } of files) Deno.writeTextFileSync(`${this.path}/${name}`, text, { mode: 0o644 });
    Deno.writeTextFileSync(this.specPath, stringifyJson(spec), { mode: 0o600 });
  }

  /** Removes all of it; nothing where it is gone already. */
  remove(): void {
    removeTreeSync(this.path);
  }
}
