/**
 * Where shims listen.
 *
 * @module
 */
import { cleanPath } from "../oci/plan/paths.ts";

/** What a shim's socket is named by. */
export interface ShimName {
  /** The daemon's gRPC address. */
  readonly address: string;
  readonly namespace: string;
  /** Of the shim: a container's id, or what its containers have in common. */
  readonly group: string;
  /** The daemon's directory for sockets; containerd's own without one. */
  readonly socketDirectory?: string | undefined;
}

/** containerd's directory for the sockets of shims. */
export const defaultSocketDirectory = "/run/containerd/s";

/** Path of the socket: the same for everybody who knows the name, whichever daemon or shim it is. */
export async function shimSocketPath(name: ShimName): Promise<string> {
  const text = cleanPath(`${name.address}/${name.namespace}/${name.group}`);
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `${name.socketDirectory ?? defaultSocketDirectory}/${new Uint8Array(hash).toHex()}`;
}

/** Annotations by which several containers say that they want to share a shim; the first that is there counts. */
const groupAnnotations = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/** The group that a container's annotations name. */
export function annotatedGroup(annotations: Readonly<Record<string, string>> | undefined): string | undefined {
  for (const key of groupAnnotations) {
    const value = annotations?.[key];
    if (value !== undefined && value !== "") return value;
  }
  return undefined;
}
