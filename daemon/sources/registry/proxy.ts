/**
 * HTTP clients that use the environment's proxies as Go's programs do.
 *
 * @module
 */
import { proxyFor } from "./proxy_for.ts";

const names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];
const variables = [...names, ...names.map((name) => name.toLowerCase())];

/**
 * Makes an HTTP client for the host of a URL. Deno has an opinion of its own on proxies, which it reads from the
 * environment while a client is made: so they are not there then. They are back before anybody else can see it, as
 * nothing here waits.
 */
export function createClient(url: URL, options: Deno.CreateHttpClientOptions): Deno.HttpClient {
  const proxy = proxyFor(url);
  const before = variables.map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const name of variables) Deno.env.delete(name);
    return Deno.createHttpClient(proxy === undefined ? options : { ...options, proxy: { url: proxy } });
  } finally {
    for (const [name, value] of before) if (value !== undefined) Deno.env.set(name, value);
  }
}
