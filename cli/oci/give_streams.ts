/**
 * Gives a process the standard streams that it inherits from the caller.
 *
 * @module
 */
import type { Spec, User } from "../../api/oci/runtime_spec.ts";
import { changeOwner } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";

/** /dev/null, which is everybody's. */
const nullDevice = 0x103;

/**
 * Makes the user the owner of this process's streams, so that `/dev/stdout` and its like can be opened by name; their
 * groups stay (runc `fixStdioPermissions`). In a user namespace they are nobody's, and stay so.
 */
export function giveStreams({ uid }: User, { linux }: Pick<Spec, "linux">): void {
  if (uid === 0 || linux?.namespaces?.some(({ type }) => type === "user")) return;
  for (const number of [0, 1, 2]) {
    const info = Deno.statSync(`/proc/self/fd/${number}`);
    if (info.uid === uid || (info.isCharDevice === true && info.rdev === nullDevice)) continue;
    try {
      changeOwner(number, uid, info.gid ?? 0);
    } catch (error) {
      // Not every file can have another owner; it may do without.
      if (!isErrno(error, "EPERM", "EINVAL", "EROFS")) throw error;
    }
  }
}
