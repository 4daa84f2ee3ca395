/**
 * The records of activations: a file each, written before anything is mounted. They lie with the mounts in the state
 * directory, survive a restart of the daemon, and are gone with the mounts when the host starts anew.
 *
 * @module
 */
import { removeIfThere } from "../../ffi/if_there.ts";
import type { Activation } from "./activation.ts";

/** The files of all activations below one directory. All calls are synchronous: a record is a few hundred bytes. */
export class ActivationFiles {
  constructor(readonly directory: string) {
    Deno.mkdirSync(`${directory}/t`, { recursive: true, mode: 0o700 });
    Deno.mkdirSync(`${directory}/activations`, { recursive: true, mode: 0o700 });
  }

  /** Where the mount points of an activation lie. */
  targetDirectory(id: number): string {
    return `${this.directory}/t/${id}`;
  }

  #path(id: number): string {
    return `${this.directory}/activations/${id}.json`;
  }

  /** Writes a record, whole or not at all. */
  write(activation: Activation): void {
    const path = this.#path(activation.id);
    Deno.writeTextFileSync(`${path}.new`, JSON.stringify(activation), { mode: 0o600 });
    Deno.renameSync(`${path}.new`, path);
  }

  /** Removes a record; one that is gone is no error. */
  remove(id: number): void {
    removeIfThere(this.#path(id));
  }

  /** All records by id; undefined for one that cannot be read, and for mount points without a record. */
  read(): Map<number, Activation | undefined> {
    const found = new Map<number, Activation | undefined>();
    for (const { name } of Deno.readDirSync(`${this.directory}/t`)) {
      if (/^\d+$/.test(name)) found.set(Number(name), undefined);
    }
    for (const { name } of Deno.readDirSync(`${this.directory}/activations`)) {
      const id = /^(\d+)\.json$/.exec(name)?.[1];
      if (id === undefined) Deno.removeSync(`${this.directory}/activations/${name}`);
      else found.set(Number(id), parseRecord(Deno.readTextFileSync(`${this.directory}/activations/${name}`)));
    }
    return found;
  }
}

function parseRecord(text: string): Activation | undefined {
  try {
    // The daemon alone writes into this directory, and a record is there whole or not at all.
    return JSON.parse(text) as Activation;
  } catch {
    return undefined;
  }
}
