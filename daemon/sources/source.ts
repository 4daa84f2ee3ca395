/**
 * Where images come from: a registry, an OCI layout directory, or an image archive.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Descriptor } from "../../api/oci/image_spec.ts";
import type { RegistryLimits } from "./registry/limits.ts";

/**
 * One image at one place, from `openSource` until it is disposed.
 *
 * A puller calls `resolve` once for the root descriptor (a manifest or an index), then `open` for it and for
 * everything that it refers to, any number at a time. A source hands out bytes: it does not store, and the
 * reader compares digest and size of what it reads, as content of a source is a stranger's. (Manifests of a
 * registry are checked by the source as well, for they decide what is asked for next.)
 */
export interface ImageSource extends AsyncDisposable {
  /** Full image name to record, such as `docker.io/library/debian:12`. */
  readonly name: string;
  /** Where the blobs can be had again; set for registries. The host has its port, as in the image's name. */
  readonly distribution?: { readonly host: string; readonly repository: string };
  /** The root of the image. Throws `NotFound` where there is none. */
  resolve(signal: AbortSignal): Promise<Descriptor>;
  /**
   * The bytes of a manifest, index, config or layer from `offset` on; an empty stream where `offset` is the size.
   * Throws when the object cannot be had; later failures fail the stream. Cancelling the stream ends the transfer.
   */
  open(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

/** A login. With an empty user name the password is an identity token. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Options of {@link openSource}. */
export interface SourceOptions {
  /** Whether a registry that is not on loopback may be spoken to without TLS. Default false. */
  readonly plainHttp?: boolean;
  /** Login for the registry of the reference, instead of the one in docker's configuration. */
  readonly credentials?: Credentials;
  /**
   * Asked for the login of a host, once and only where it wants one, instead of docker's configuration. Undefined: none.
   */
  readonly findCredentials?: (host: string) => Promise<Credentials | undefined>;
  /** Ends the opening (unpacking a compressed archive can take long). */
  readonly signal?: AbortSignal;
  /** Where a compressed archive is unpacked to (into a file without name). Default: the system's. */
  readonly temporaryDirectory?: string;
  /** Where docker's `config.json` lies. Default: `$DOCKER_CONFIG`, else `~/.docker`. */
  readonly dockerConfigDirectory?: string;
  /** Directories with a folder of certificates per registry host. Default: those of docker and containerd. */
  readonly certificateDirectories?: readonly string[];
  /**
   * Directories with a folder per registry host, whose `hosts.toml` says where its images are asked for; they take the
   * place of `certificateDirectories`. Default: none, the registry itself is asked.
   */
  readonly hostDirectories?: readonly string[];
  /** Headers for each request to the registry's hosts. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Told what is wrong with settings that are gone without. */
  readonly warn?: (message: string) => void;
  /** Replaces some of the registry client's limits. */
  readonly limits?: Partial<RegistryLimits>;
}

/** Whether the reference names a file or directory of this machine, which is cheap to look at at every run. */
export function isLocalSource(reference: string): boolean {
  return reference.startsWith("oci:") || reference.startsWith("tar:");
}

/**
 * The source that a reference means: `oci:DIR[:TAG]` is an OCI layout directory, `tar:FILE[:NAME]` an OCI or
 * `docker save` archive, everything else a registry reference. A registry is not contacted before `resolve`.
 *
 * Throws `InvalidArgument` for a reference that is none, `NotFound` for a file or tag that is not there.
 */
export async function openSource(reference: string, options: SourceOptions = {}): Promise<ImageSource> {
  if (reference.startsWith("oci:")) {
    const { openLayoutDirectory } = await import("./layout/directory.ts");
    return await openLayoutDirectory(place(reference, "oci:DIR[:TAG]"), options);
  }
  if (reference.startsWith("tar:")) {
    const { openArchive } = await import("./archive/archive_source.ts");
    return await openArchive(place(reference, "tar:FILE[:NAME]"), options);
  }
  const [{ RegistrySource }, { parseReference }] = await Promise.all([
    import("./registry/registry_source.ts"),
    import("./reference.ts"),
  ]);
  return new RegistrySource(parseReference(reference), options);
}

function place(reference: string, form: string): string {
  const text = reference.slice(4);
  if (text === "") throw new Failure("InvalidArgument", `image source "${reference}" names no place: want ${form}`);
  return text;
}
