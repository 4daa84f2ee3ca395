/**
 * What a process has open, for tests that look for leaks.
 *
 * @module
 */

/** Files that the installed Deno opens when it first keeps compiled code, at a moment of its own. */
const denosCache = /\/lib\/barge\/cache\//;

/** What the process's descriptors lead to, without Deno's own cache. */
export function openFilesOf(pid: number): string[] {
  return [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
    } catch {
      return ""; // It was closed meanwhile.
    }
  }).filter((link) => link !== "" && !denosCache.test(link));
}
