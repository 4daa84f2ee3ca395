/**
 * From the host in an image's name to the address that is spoken to.
 *
 * @module
 */

/** The host that serves a registry: Docker Hub's API lives beside its name. */
export function apiHost(host: string): string {
  return host === "docker.io" ? "registry-1.docker.io" : host;
}

/** The host without its port. */
export function hostWithoutPort(host: string): string {
  return host.replace(/:\d+$/, "");
}

/** The port that a URL of http or https means. */
export function portOf(url: URL): number {
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}

/** Whether the host (port allowed) is this machine by name or address; nothing sent there leaves the machine. */
export function isLoopback(host: string): boolean {
  const name = hostWithoutPort(host).toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || name === "[::1]" ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}

/** The URL for messages: without query and user, which may hold a signature. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}
