/**
 * Whether overlay file systems work in a place.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { isErrno } from "../../ffi/errno.ts";
import { closeFile } from "../../ffi/files.ts";
import { removeTreeSync } from "../../ffi/remove_tree.ts";
import { call } from "../../ffi/syscall.ts";

/**
 * Why overlayfs cannot be used with its directories below `directory`; undefined where it can.
 *
 * It makes a small overlay there and uses it: a file of the lower layer is removed and a directory made. The mount is
 * detached, so that nothing is left of it even when the process is killed, but for one directory `probe-*`.
 */
export async function overlayProblem(directory: string): Promise<string | undefined> {
  const place = await Deno.makeTempDir({ dir: directory, prefix: "probe-" });
  try {
    for (const name of ["lower", "upper", "work"]) await Deno.mkdir(`${place}/${name}`);
    await Deno.writeTextFile(`${place}/lower/removed`, "");
    const mount = mountDetached(place);
    try {
      return await tryOut(`/proc/self/fd/${mount}`, `${place}/upper`);
    } finally {
      closeFile(mount);
    }
  } catch (error) {
    if (isErrno(error, "ENODEV")) return "the kernel has no overlay file system";
    if (isErrno(error, "ENOSYS")) return "the kernel is older than Linux 5.2 and cannot be asked";
    if (isErrno(error, "EPERM", "EACCES")) return "this process may not mount";
    if (isErrno(error, "EINVAL")) return "the file system that it would lie on cannot be used as an upper layer";
    return messageOf(error);
  } finally {
    removeTreeSync(place);
  }
}

/** A descriptor of an overlay mount of `place`'s directories that is attached nowhere. */
function mountDetached(place: string): number {
  const context = call("fsopen", "overlay", flags("FSOPEN_CLOEXEC"));
  try {
    const set = (key: string, value: string) => call("fsconfig", context, flags("FSCONFIG_SET_STRING"), key, value, 0);
    set("lowerdir", `${place}/lower`);
    set("upperdir", `${place}/upper`);
    set("workdir", `${place}/work`);
    call("fsconfig", context, flags("FSCONFIG_CMD_CREATE"), 0, 0, 0);
    return call("fsmount", context, flags("FSMOUNT_CLOEXEC"), 0);
  } finally {
    closeFile(context);
  }
}

async function tryOut(merged: string, upper: string): Promise<string | undefined> {
  await Deno.remove(`${merged}/removed`);
  await Deno.mkdir(`${merged}/made`);
  if (!(await Deno.lstat(`${upper}/removed`)).isCharDevice) {
    return "the file system that it would lie on keeps no whiteouts";
  }
  const names = [...Deno.readDirSync(merged)].map(({ name }) => name);
  // Without d_type in directory entries, whiteouts show up as files.
  if (names.includes("removed")) return "the file system that it would lie on does not tell file types (d_type)";
  return names.includes("made") ? undefined : "what is written to an overlay does not show";
}
