/**
 * Logins from docker's `config.json`: `auths`, `credHelpers` and `credsStore`.
 *
 * @module
 */
import { Failure, messageOf } from "../../../api/errors.ts";
import type { Credentials } from "../source.ts";
import { callersVariables } from "../../../ffi/launch.ts";

/** The part of docker's configuration that holds logins. */
interface DockerConfig {
  auths?: Record<string, { auth?: string; username?: string; password?: string; identitytoken?: string } | null>;
  credHelpers?: Record<string, string>;
  credsStore?: string;
}

/** A helper may ask an agent or a network service, but not for longer than this. */
const helperDeadlineMs = 30_000;

/** docker's name for the Hub in `auths`; it predates the registry's present protocol. */
const hubKey = "https://index.docker.io/v1/";

/** The directory of docker's configuration by the environment, or undefined without a home. */
export function defaultDockerConfigDirectory(): string | undefined {
  const named = Deno.env.get("DOCKER_CONFIG");
  if (named !== undefined && named !== "") return named;
  const home = Deno.env.get("HOME");
  return home === undefined || home === "" ? undefined : `${home}/.docker`;
}

/**
 * The login for a registry host, or undefined where there is none. A helper for the host, then the general
 * helper, then the file itself is asked.
 *
 * Throws `FailedPrecondition` for a configuration that cannot be read and for a helper that fails.
 */
export async function findCredentials(
  host: string,
  directory: string | undefined = defaultDockerConfigDirectory(),
): Promise<Credentials | undefined> {
  if (directory === undefined) return undefined;
  const path = `${directory}/config.json`;
  const config = readConfig(path);
  if (config === undefined) return undefined;
  const serverName = isHub(host) ? hubKey : host;
  const helper = Object.entries(config.credHelpers ?? {}).find(([key]) => sameServer(key, host))?.[1] ??
    config.credsStore;
  if (typeof helper === "string" && helper !== "") {
    const found = await askHelper(helper, serverName, path);
    if (found !== undefined) return found;
  }
  const entry = Object.entries(config.auths ?? {}).find(([key]) => sameServer(key, host))?.[1];
  return entry === undefined || entry === null ? undefined : fromEntry(entry, host, path);
}

function readConfig(path: string): DockerConfig | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw new Failure("FailedPrecondition", `cannot read the logins in "${path}": ${messageOf(error)}`, {
      cause: error,
    });
  }
  try {
    const config: unknown = JSON.parse(text);
    if (typeof config === "object" && config !== null && !Array.isArray(config)) return config;
  } catch {
    // The parser's message may quote the file, and with it a password.
  }
  throw new Failure("FailedPrecondition", `"${path}" is not a JSON object: mend it or remove it`);
}

function isHub(host: string): boolean {
  return host === "docker.io" || host === "index.docker.io" || host === "registry-1.docker.io";
}

/** Keys are hosts, or URLs as old clients wrote them. */
function sameServer(key: string, host: string): boolean {
  const name = key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return name === host || (isHub(name) && isHub(host));
}

function fromEntry(entry: NonNullable<NonNullable<DockerConfig["auths"]>[string]>, host: string, path: string) {
  if (entry.identitytoken !== undefined && entry.identitytoken !== "") {
    return { username: "", password: entry.identitytoken };
  }
  if (entry.auth !== undefined && entry.auth !== "") {
    const decoded = decodeBase64(entry.auth);
    const colon = decoded?.indexOf(":") ?? -1;
    if (decoded === undefined || colon < 1) {
      throw new Failure("FailedPrecondition", `the login for ${host} in "${path}" is broken: run docker login ${host}`);
    }
    return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1).replace(/\0+$/, "") };
  }
  if (entry.username === undefined || entry.username === "") return undefined;
  return { username: entry.username, password: entry.password ?? "" };
}

function decodeBase64(text: string): string | undefined {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(text));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Runs `docker-credential-NAME get` (protocol of docker-credential-helpers). */
async function askHelper(name: string, server: string, path: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const failed = (reason: string, cause?: unknown) =>
    new Failure("FailedPrecondition", `the login helper ${program} of "${path}" ${reason}`, { cause });
  if (!/^[A-Za-z0-9._-]+$/.test(name)) throw failed("has a name that is no program's");
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: ["get"],
      env: callersVariables(),
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
  } catch (error) {
    throw failed(`cannot be started: ${messageOf(error)}`, error);
  }
  const deadline = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    deadline.reject(failed(`gave no answer within ${helperDeadlineMs / 1000} s`));
  }, helperDeadlineMs);
  try {
    const answer = child.output();
    const writer = child.stdin.getWriter();
    // A helper that does not read its input may still answer; its exit status tells.
    await Promise.race([writer.write(new TextEncoder().encode(server)).then(() => writer.close()), answer]).catch(
      (error) => {
        if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      },
    );
    const { success, stdout } = await Promise.race([answer, deadline.promise]);
    const text = new TextDecoder().decode(stdout).trim();
    if (!success) {
      if (/credentials not found/i.test(text)) return undefined;
      throw failed(`failed: ${text.slice(0, 200) || "it gave no reason"}`);
    }
    return readAnswer(text) ?? (() => {
      throw failed("gave an answer that is no login");
    })();
  } finally {
    clearTimeout(timer);
  }
}

function readAnswer(text: string): Credentials | undefined {
  try {
    const answer: { Username?: unknown; Secret?: unknown } = JSON.parse(text);
    const { Username: username, Secret: password } = answer;
    if (typeof username !== "string" || typeof password !== "string") return undefined;
    return username === "<token>" ? { username: "", password } : { username, password };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
