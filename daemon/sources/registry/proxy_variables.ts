/**
 * Whether the environment names a proxy.
 *
 * @module
 */

/** Whether requests to the URL go, or may go, through a proxy that the environment names. */
export function namesProxy(url: URL): boolean {
  const names = url.protocol === "https:" ? ["HTTPS_PROXY", "https_proxy"] : ["HTTP_PROXY", "http_proxy"];
  return [...names, "ALL_PROXY", "all_proxy"].some((name) => (Deno.env.get(name) ?? "") !== "");
}
