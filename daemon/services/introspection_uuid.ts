/**
 * The UUID by which a daemon's root is known, kept in a file as containerd does.
 *
 * @module
 */

const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The UUID that lies in the directory, or a new one that is put there. A file that holds anything else, such as one that
 * was torn by a power cut, is replaced. Throws what the disk says where it cannot be written.
 */
export function serverUuid(directory: string): string {
  const path = `${directory}/uuid`;
  try {
    const kept = Deno.readTextFileSync(path).trim();
    if (uuidForm.test(kept)) return kept;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const uuid = crypto.randomUUID();
  Deno.mkdirSync(directory, { recursive: true, mode: 0o711 });
  const temporary = `${path}.${uuid}`;
  try {
    Deno.writeTextFileSync(temporary, uuid, { mode: 0o644, createNew: true });
    Deno.renameSync(temporary, path);
  } catch (error) {
    Deno.removeSync(temporary);
    throw error;
  }
  return uuid;
}
