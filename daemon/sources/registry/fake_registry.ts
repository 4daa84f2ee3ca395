/**
 * A registry in this process for tests: it holds one image and does on request what real ones do on bad days.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Digest } from "../../../api/digest.ts";
import { type Code, Failure } from "../../../api/errors.ts";
import { type Descriptor, mediaTypes } from "../../../api/oci/image_spec.ts";
import { openSource, type SourceOptions } from "../source.ts";

/** A signal that never aborts. */
export const signal = new AbortController().signal;
/** Content of the layer. */
export const blob = new Uint8Array(300_000).map((_, i) => (i * 7919) >> 3);

function descriptorOf(bytes: Uint8Array, mediaType: string): Descriptor {
  return {
    mediaType,
    digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest,
    size: bytes.length,
  };
}

/** Descriptor of the layer (and, to keep it short, of the config). */
export const layer = descriptorOf(blob, mediaTypes.ociLayerGzip);
/** The manifest of `app:1`. */
export const manifestBytes = new TextEncoder().encode(
  JSON.stringify({ schemaVersion: 2, config: layer, layers: [layer] }),
);
/** Descriptor of the manifest. */
export const manifest = descriptorOf(manifestBytes, mediaTypes.ociManifest);

/** A fault is an answer in place of the registry's own, for the requests that it wants. */
export type Fault = (request: Request, url: URL, count: number) => Response | Promise<Response> | undefined;

/** A registry with the image `app:1`, in this process, that does what a fault says. */
export class FakeRegistry implements AsyncDisposable {
  /** What was asked for, in order. */
  readonly requests: {
    method: string;
    path: string;
    authorization: string | null;
    range: string | null;
    body: string;
    headers: Headers;
  }[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(fault: Fault = () => undefined) {
    this.#server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      onListen() {},
      onError: () => new Response(null, { status: 599 }),
    }, async (request) => {
      const url = new URL(request.url);
      const { method, headers } = request;
      const body = method === "POST" ? await request.clone().text() : "";
      const path = url.pathname + url.search;
      this.requests.push({
        method,
        path,
        authorization: headers.get("authorization"),
        range: headers.get("range"),
        body,
        headers,
      });
      return await fault(request, url, this.requests.length) ?? content(request, url);
    });
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  /** Method and path of each request. */
  paths(): string[] {
    return this.requests.map(({ method, path }) => `${method} ${path}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function content(request: Request, url: URL): Response {
  const path = url.pathname;
  if (path === `/v2/app/manifests/1` || path === `/v2/app/manifests/${manifest.digest}`) {
    const headers = {
      "Content-Type": manifest.mediaType,
      "Docker-Content-Digest": manifest.digest,
      "Content-Length": String(manifest.size),
    };
    return new Response(request.method === "HEAD" ? null : manifestBytes, { headers });
  }
  if (path === `/v2/app/blobs/${layer.digest}`) {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
    if (from === 0) return new Response(blob);
    const headers = { "Content-Range": `bytes ${from}-${blob.length - 1}/${blob.length}` };
    return new Response(blob.subarray(from), { status: 206, headers });
  }
  return Response.json({ errors: [{ code: "MANIFEST_UNKNOWN", message: "manifest unknown" }] }, { status: 404 });
}

/** What {@link pull} gives. */
export interface Pulled {
  root: Descriptor;
  layer: Uint8Array;
}

/** Options of all tests: no login from outside, short pauses. */
export const base: SourceOptions = {
  plainHttp: true,
  dockerConfigDirectory: "/nonexistent",
  limits: { retryDelayMs: 2, stallMs: 5_000 },
};

/** Resolves `app:1`, reads its manifest, and its layer from `offset` on; `change` alters the layer's descriptor. */
export async function pull(
  host: string,
  options: SourceOptions = {},
  offset = 0,
  change: Partial<Descriptor> = {},
): Promise<Pulled> {
  const limits = { ...base.limits, ...options.limits };
  await using source = await openSource(`${host}/app:1`, { ...base, ...options, limits });
  const root = await source.resolve(signal);
  const bytes = await new Response(await source.open(root, 0, signal)).bytes();
  assert.deepEqual(bytes, manifestBytes);
  return { root, layer: await new Response(await source.open({ ...layer, ...change }, offset, signal)).bytes() };
}

/** A check for `assert.rejects`: the code, and one sentence that names the image. */
export function failure(code: Code, pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof Failure, String(error));
    assert.match(error.message, pattern);
    assert.match(error.message, /^cannot pull 127\.0\.0\.1:\d+\/app:1: [^\n]*[^.\n]$/);
    assert.equal(error.code, code);
    return true;
  };
}

/** An answer without body. */
export function answer(status: number, headers: Record<string, string> = {}): Response {
  return new Response(null, { status, headers });
}
/** Whether the request is for a blob. */
export function isBlob(url: URL): boolean {
  return url.pathname.includes("/blobs/");
}

/** The bytes from `from` to `to`, and then the connection breaks. */
export function cutAfter(from: number, to: number): Response {
  let sent = false;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (sent) {
        // The bytes before must have left the server, or the cut would swallow them.
        await new Promise((resolve) => setTimeout(resolve, 50));
        return controller.close();
      }
      sent = true;
      controller.enqueue(blob.subarray(from, to));
    },
  });
  const range = { "Content-Range": `bytes ${from}-${blob.length - 1}/${blob.length}` };
  return new Response(body, { status: from === 0 ? 200 : 206, headers: { ...(from === 0 ? {} : range) } });
}
