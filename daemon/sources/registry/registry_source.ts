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
import type { Credentials, ImageSource, SourceOptions } from "../source.ts";
import { defaultCertificateDirectories } from "./certificates.ts";
import type { Exchange } from "./connection.ts";
import { findCredentials } from "./credentials.ts";
import { HostList } from "./host_list.ts";
import { registryItself } from "./hosts/host_entry.ts";
import { defaultLimits, type RegistryLimits } from "./limits.ts";
import { guessManifestType, manifestAccept, manifestTypeOf } from "./manifest_kind.ts";
import { RegistryHost } from "./registry_host.ts";
import { transfer } from "./transfer.ts";

/** {@link ImageSource} over a registry's HTTP API. Nothing is sent before `resolve`. */
export class RegistrySource implements ImageSource {
  readonly name: string;
  readonly distribution: { readonly host: string; readonly repository: string };
  readonly #reference: Reference;
  readonly #options: SourceOptions;
  readonly #limits: RegistryLimits;
  #hosts: Promise<HostList> | undefined;
  /** A root that had to be fetched to be resolved. */
  #root: { readonly digest: Digest; readonly bytes: Uint8Array } | undefined;

  constructor(reference: Reference, options: SourceOptions = {}) {
    const { host, repository } = reference;
    this.name = reference.name;
    this.distribution = { host, repository };
    this.#reference = reference;
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
  }

  async resolve(signal: AbortSignal): Promise<Descriptor> {
    // A digest needs nobody to say what it means.
    const task = this.#reference.digest === undefined ? "resolve" : "pull";
    return await (await this.#list()).first(task, signal, async (host) => {
      const subject = host.subject();
      const headers = { Accept: manifestAccept };
      try {
        const path = `manifests/${this.#reference.digest ?? this.#reference.tag ?? "latest"}`;
        const request = { url: await host.url(path, signal), headers, subject, ownHeaders: this.#ownHeaders };
        using head = await host.requester.send({ method: "HEAD", ...request }, signal, [403, 405]);
        // HEAD is not allowed everywhere; and of a denied one only a GET's answer has the reason.
        const found = head.status === 403 || head.status === 405 ? undefined : this.#described(head);
        if (found !== undefined) return found;
        using got = await host.requester.send({ method: "GET", ...request }, signal);
        return await this.#fetched(got);
      } catch (error) {
        throw host.requester.sentence(error, subject);
      }
    });
  }

  get #ownHeaders(): Readonly<Record<string, string>> {
    return this.#options.headers ?? {};
  }

  #list(): Promise<HostList> {
    if (this.#hosts === undefined) {
      const hosts = this.#hosts = this.#findHosts();
      hosts.catch(() => this.#hosts = undefined);
    }
    return this.#hosts;
  }

  async #findHosts(): Promise<HostList> {
    const { hostDirectories, plainHttp = false, certificateDirectories, warn = () => {} } = this.#options;
    const reference = this.#reference;
    const entries = hostDirectories === undefined
      ? [registryItself]
      : await (await import("./hosts/find_hosts.ts")).findHosts(reference.host, hostDirectories, warn);
    return new HostList(entries.map((entry, index) =>
      new RegistryHost(entry, {
        reference,
        // Where another one may have it, a broken host is not waited for.
        limits: index === entries.length - 1 ? this.#limits : { ...this.#limits, ...impatient },
        plainHttp,
        // What the directory says of certificates is in the entries.
        certificateDirectories: hostDirectories === undefined
          ? certificateDirectories ?? defaultCertificateDirectories
          : [],
        credentials: (host, own) => this.#credentials(host, own),
      })
    ));
  }

  #credentials(host: string, own: boolean): Promise<Credentials | undefined> {
    const { credentials, findCredentials: find, dockerConfigDirectory } = this.#options;
    if (own && credentials !== undefined) return Promise.resolve(credentials);
    return find?.(host) ?? findCredentials(own ? this.#reference.host : host, dockerConfigDirectory);
  }

  /** The descriptor that a HEAD's headers tell, or undefined where they do not tell all. */
  #described(head: Exchange): Descriptor | undefined {
    const mediaType = manifestTypeOf(head.headers.get("content-type"));
    const length = head.headers.get("content-length");
    const named = head.headers.get("docker-content-digest");
    const digest = this.#reference.digest ?? (named !== null && isDigest(named) ? named : undefined);
    if (mediaType === undefined || digest === undefined || length === null || !/^\d+$/.test(length)) return undefined;
    // Encoded on the way, it is not the length of the manifest.
    if (!["", "identity"].includes(head.headers.get("content-encoding")?.trim().toLowerCase() ?? "")) return undefined;
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
    const part = `${isManifest ? "manifest" : "blob"} ${digest}`;
    const list = await this.#list();
    if (isManifest) {
      const bytes = await list.first("pull", signal, async (host) => {
        try {
          return await this.#manifest(descriptor, host, signal);
        } catch (error) {
          throw host.requester.sentence(error, host.subject(part));
        }
      });
      return ReadableStream.from([bytes.subarray(offset)]);
    }
    const describe = (error: unknown) => list.upstream.requester.sentence(error, list.upstream.subject(part));
    try {
      return await transfer(
        descriptor,
        offset,
        (at) => this.#blob(descriptor, at, list, signal),
        this.#limits,
        describe,
      );
    } catch (error) {
      throw describe(error);
    }
  }

  async #manifest(descriptor: Descriptor, host: RegistryHost, signal: AbortSignal): Promise<Uint8Array> {
    const { digest, size, mediaType } = descriptor;
    if (this.#root?.digest === digest) return this.#root.bytes;
    if (size > this.#limits.manifestBytesMax) {
      throw new Failure(
        "ResourceExhausted",
        `manifest ${digest} has ${size} bytes, ${this.#limits.manifestBytesMax} are allowed`,
      );
    }
    const url = await host.url(`manifests/${digest}`, signal);
    const headers = { Accept: `${mediaType}, */*` };
    const subject = host.subject(`manifest ${digest}`);
    const request = { method: "GET", url, headers, subject, ownHeaders: this.#ownHeaders } as const;
    using got = await host.requester.send(request, signal);
    const bytes = await got.bytes(this.#limits.manifestBytesMax);
    await verifyDigest(bytes, digest, "a manifest", subject.host);
    if (bytes.length !== size) {
      throw new Failure("DataLoss", `manifest ${digest} has ${bytes.length} bytes, its descriptor says ${size}`);
    }
    return bytes;
  }

  /** One connection to a blob: the addresses that the manifest names for foreign layers, then the registry's hosts. */
  async #blob(descriptor: Descriptor, at: number, list: HostList, signal: AbortSignal): Promise<Exchange> {
    // Compressed layers gain nothing from another encoding, and ranges count encoded bytes.
    const headers = { Accept: `${descriptor.mediaType}, */*`, "Accept-Encoding": "identity", ...range(at) };
    const part = `blob ${descriptor.digest}`;
    for (const text of descriptor.urls ?? []) {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) continue;
      const { upstream } = list;
      const request = { method: "GET", url, headers, subject: upstream.subject(part), anonymous: true } as const;
      const exchange = await upstream.requester.send(request, signal, [404]);
      if (exchange.status !== 404) return exchange;
      exchange[Symbol.dispose]();
    }
    return await list.first("pull", signal, async (host) => {
      const subject = host.subject(part);
      try {
        const url = await host.url(`blobs/${descriptor.digest}`, signal);
        const request = { method: "GET", url, headers, subject, ownHeaders: this.#ownHeaders } as const;
        return await host.requester.send(request, signal);
      } catch (error) {
        throw host.requester.sentence(error, subject);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    (await this.#hosts?.catch(() => undefined))?.[Symbol.dispose]();
  }
}

/** Limits for a host that others may stand in for. */
const impatient = { serverErrorRetriesMax: 0, triesMax: 2 };

function range(at: number): Record<string, string> {
  return at === 0 ? {} : { Range: `bytes=${at}-` };
}
