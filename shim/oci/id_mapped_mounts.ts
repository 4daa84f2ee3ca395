/**
 * Bind mounts in which ids are mapped (mount_setattr(2) MOUNT_ATTR_IDMAP): made by the runtime, whose rights on the file
 * system they need, and given to the new process as detached mounts.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Linux, Mount, Spec } from "../../api/oci/runtime_spec.ts";
import { constant, flags } from "../../ffi/constants.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { errnoText, SyscallError } from "../../ffi/errno.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { call } from "../../ffi/syscall.ts";
import { holdUserNamespace } from "./hold_user_namespace.ts";
import { openNamespace } from "./open_namespace.ts";
import { hasMappings, isIdMapped } from "./plan/id_maps.ts";
import { parseMountOptions } from "./plan/mount_options.ts";
import { sourceKey } from "./plan/user_namespace.ts";

/** The mounts of a spec, by the keys that the plan knows them by. */
export interface IdMappedMounts extends Disposable {
  keys: readonly string[];
  mounts: readonly Descriptor[];
}

/** The keys of a spec's mounts with ids mapped, in the order of {@link openIdMappedMounts}. */
export function idMappedKeys(spec: Spec, bundle: string): string[] {
  return (spec.mounts ?? []).filter(isIdMapped).map(({ source = "", destination }) =>
    sourceKey(source.startsWith("/") ? source : `${bundle}/${source}`, destination)
  );
}

/** Makes them. Throws `InvalidArgument` where a mount cannot have its ids mapped. */
export async function openIdMappedMounts(reactor: Reactor, spec: Spec, bundle: string): Promise<IdMappedMounts> {
  const keys: string[] = [];
  const mounts: Descriptor[] = [];
  const close = (): void => mounts.forEach((mount) => mount.close());
  try {
    for (const mount of (spec.mounts ?? []).filter(isIdMapped)) {
      const { source = "", destination } = mount;
      const options = parseMountOptions(mount.options ?? []);
      const does = `mount "${source}" on "${destination}" with ids mapped`;
      if (!options.bind) throw new Failure("InvalidArgument", `${does}: want a bind mount`);
      const path = source.startsWith("/") ? source : `${bundle}/${source}`;
      using namespace = await openMaps(reactor, mount, spec.linux ?? {}, does);
      keys.push(sourceKey(path, destination));
      mounts.push(mapIds(path, options, namespace, does));
    }
  } catch (error) {
    close();
    throw error;
  }
  return { keys, mounts, [Symbol.dispose]: close };
}

/** The user namespace of the maps: the mount's own ones, else the container's. */
async function openMaps(reactor: Reactor, mount: Mount, linux: Linux, does: string): Promise<Descriptor> {
  const own = hasMappings(mount);
  const joined = linux.namespaces?.find(({ type, path }) => type === "user" && path)?.path;
  if (!own && joined !== undefined) return openJoined(joined, does);
  const { uidMappings: uids = [], gidMappings: gids = [] } = own ? mount : linux;
  if (uids.length === 0 || gids.length === 0) {
    throw new Failure("InvalidArgument", `${does}: want mappings for users and groups, or a user namespace`);
  }
  return await holdUserNamespace(reactor, { uids, gids });
}

function openJoined(path: string, does: string): Descriptor {
  try {
    return openNamespace(path);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new Failure("InvalidArgument", `${does}: user namespace "${path}": ${errnoText(error.errno)}`, {
      cause: error,
    });
  }
}

function mapIds(path: string, options: ReturnType<typeof parseMountOptions>, namespace: Descriptor, does: string) {
  const clone = flags("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC") | (options.recursiveBind ? constant("AT_RECURSIVE") : 0);
  let mount: Descriptor | undefined;
  try {
    mount = new Descriptor(call("open_tree", flags("AT_FDCWD"), path, clone));
    // struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
    const attributes = new BigUint64Array([BigInt(constant("MOUNT_ATTR_IDMAP")), 0n, 0n, BigInt(namespace.number)]);
    const recursive = options.idMap === "recursive" ? constant("AT_RECURSIVE") : 0;
    call("mount_setattr", mount.number, "", flags("AT_EMPTY_PATH") | recursive, attributes, 32);
    return mount;
  } catch (error) {
    mount?.close();
    if (!(error instanceof SyscallError)) throw error;
    const why = error.code === "EINVAL" ? "its file system does not know mapped ids" : errnoText(error.errno);
    throw new Failure("InvalidArgument", `${does}: ${why}`, { cause: error });
  }
}
