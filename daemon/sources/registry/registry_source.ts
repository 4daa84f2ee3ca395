/**
 * An image in a registry (OCI distribution specification 1.1, pull).
 *
 * @module
 */
import { type Digest, isDigest } from "../../../api/digest.ts";
import { Failure } from "../../../api/errors.ts";
import { type Descriptor, isIndexType, isManifestType } from "../../../api/oci/image_spec.ts";
import { digestOf, verifyDigest } from "../digest_of.ts";
import type { Reference } from "../reference.ts";
import type { ImageSource, SourceOptions } from "../source.ts";
import { defaultCertificateDirectories } from "./certificates.ts";
import { Connections, type Exchange } from "./connection.ts";
import { findCredentials } from "./credentials.ts";
import { apiHost } from "./endpoint.ts";
import { defaultLimits, type RegistryLimits } from "./limits.ts";
import { guessManifestType, manifestAccept, manifestTypeOf } from "./manifest_kind.ts";
import type { Subject } from "./refusal.ts";
import { Requester } from "./requester.ts";
import { transfer } from "./transfer.ts";

/** {@link ImageSource} over a registry's HTTP API. Nothing is sent before `resolve`. */
export class RegistrySource implements ImageSource {
  readonly name: string;
  readonly distribution: { readonly host: string; readonly repository: string };
  readonly #reference: Reference;
  readonly #limits: RegistryLimits;
  readonly #connections: Connections;
  readonly #requester: Requester;
  /** A root that had to be fetched to be resolved. */
  #root: { readonly digest: Digest; readonly bytes: Uint8Array } | undefined;

  constructor(reference: Reference, options: SourceOptions = {}) {
    const { host, repository } = reference;
    this.name = reference.name;
    this.distribution = { host, repository };
    this.#reference = reference;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#connections = new Connections({
      limits: this.#limits,
      plainHttp: options.plainHttp ?? false,
      certificateDirectories: options.certificateDirectories ?? defaultCertificateDirectories,
    });
    this.#requester = new Requester({
      connections: this.#connections,
      limits: this.#limits,
      scopes: [`repository:${repository}:pull`],
      credentials: (url) => {
        // Compared as URLs, which drop a scheme's own port. Only the registry itself gets the caller's login.
        const isOwn = url.host === new URL(`${url.protocol}//${apiHost(host)}`).host;
        if (isOwn && options.credentials !== undefined) return Promise.resolve(options.credentials);
        const name = isOwn ? host : url.host;
        return options.findCredentials?.(name) ?? findCredentials(name, options.dockerConfigDirectory);
      },
    });
  }

  async resolve(signal: AbortSignal): Promise<Descriptor> {
    const url = await this.#url(`manifests/${this.#reference.digest ?? this.#reference.tag ?? "latest"}`, signal);
    const subject = this.#subject();
    const headers = { Accept: manifestAccept };
    try {
      using head = await this.#requester.send({ method: "HEAD", url, headers, subject }, signal, [403, 405]);
      // HEAD is not allowed everywhere; and of a denied one only a GET's answer has the reason.
      const found = head.status === 403 || head.status === 405 ? undefined : this.#described(head);
      if (found !== undefined) return found;
      using got = await this.#requester.send({ method: "GET", url, headers, subject }, signal);
      return await this.#fetched(got);
    } catch (error) {
      throw this.#requester.sentence(error, subject);
    }
  }

  /** The descriptor that a HEAD's headers tell, or undefined where they do not tell all. */
  #described(head: Exchange): Descriptor | undefined {
    const mediaType = manifestTypeOf(head.headers.get("content-type"));
    const length = head.headers.get("content-length");
    const named = head.headers.get("docker-content-digest");
    const digest = this.#reference.digest ?? (named !== null && isDigest(named) ? named : undefined);
    if (mediaType === undefined || digest === undefined || length === null || !/^\d+$/.test(length)) return undefined;
    const size = Number(length);
    if (size === 0) return undefined;
    if (size > this.#limits.manifestBytesMax) {
      throw new Failure(
        "ResourceExhausted",
        `its manifest has ${size} bytes, ${this.#limits.manifestBytesMax} are allowed`,
      );
    }
    return { mediaType, digest, size };
  }

  async #fetched(got: Exchange): Promise<Descriptor> {
    const bytes = await got.bytes(this.#limits.manifestBytesMax);
    const mediaType = manifestTypeOf(got.headers.get("content-type")) ?? guessManifestType(bytes);
    const digest = this.#reference.digest ?? await digestOf(bytes);
    await verifyDigest(bytes, digest, "a manifest", this.#reference.host);
    this.#root = { digest, bytes };
    return { mediaType, digest, size: bytes.length };
  }

  async open(descriptor: Descriptor, offset: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const { digest, size, mediaType } = descriptor;
    if (offset < 0 || offset > size) {
      throw new Failure("OutOfRange", `byte ${offset} of ${digest} was asked for, it has ${size}`);
    }
    if (offset === size) return ReadableStream.from<Uint8Array>([]);
    const isManifest = isIndexType(mediaType) || isManifestType(mediaType);
    const subject = this.#subject(`${isManifest ? "manifest" : "blob"} ${digest}`);
    try {
      if (isManifest) {
        return ReadableStream.from([(await this.#manifest(descriptor, subject, signal)).subarray(offset)]);
      }
      return await transfer(
        descriptor,
        offset,
        (at) => this.#blob(descriptor, at, subject, signal),
        this.#limits,
        (error) => this.#requester.sentence(error, subject),
      );
    } catch (error) {
      throw this.#requester.sentence(error, subject);
    }
  }

  async #manifest({ digest, size, mediaType }: Descriptor, subject: Subject, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#root?.digest === digest) return this.#root.bytes;
    if (size > this.#limits.manifestBytesMax) {
      throw new Failure(
        "ResourceExhausted",
        `manifest ${digest} has ${size} bytes, ${this.#limits.manifestBytesMax} are allowed`,
      );
    }
    const url = await this.#url(`manifests/${digest}`, signal);
    const headers = { Accept: `${mediaType}, */*` };
    using got = await this.#requester.send({ method: "GET", url, headers, subject }, signal);
    const bytes = await got.bytes(this.#limits.manifestBytesMax);
    await verifyDigest(bytes, digest, "a manifest", this.#reference.host);
    if (bytes.length !== size) {
      throw new Failure("DataLoss", `manifest ${digest} has ${bytes.length} bytes, its descriptor says ${size}`);
    }
    return bytes;
  }

  /** One connection to a blob: the addresses that the manifest names for foreign layers, then the registry's own. */
  async #blob(descriptor: Descriptor, at: number, subject: Subject, signal: AbortSignal): Promise<Exchange> {
    // Compressed layers gain nothing from another encoding, and ranges count encoded bytes.
    const headers = { Accept: `${descriptor.mediaType}, */*`, "Accept-Encoding": "identity", ...range(at) };
    for (const text of descriptor.urls ?? []) {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) continue;
      const exchange = await this.#requester.send({ method: "GET", url, headers, subject, anonymous: true }, signal, [
        404,
      ]);
      if (exchange.status !== 404) return exchange;
      exchange[Symbol.dispose]();
    }
    const url = await this.#url(`blobs/${descriptor.digest}`, signal);
    return await this.#requester.send({ method: "GET", url, headers, subject }, signal);
  }

  async #url(path: string, signal: AbortSignal): Promise<URL> {
    const { host, repository } = this.#reference;
    try {
      return new URL(`v2/${repository}/${path}`, await this.#connections.base(apiHost(host), signal));
    } catch (error) {
      throw this.#requester.sentence(error, this.#subject());
    }
  }

  #subject(part?: string): Subject {
    return { image: this.name, host: this.#reference.host, ...(part === undefined ? {} : { part }) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#connections[Symbol.dispose]();
    return Promise.resolve();
  }
}

function range(at: number): Record<string, string> {
  return at === 0 ? {} : { Range: `bytes=${at}-` };
}
