/**
 * A real registry for tests: Debian's docker-registry on a free port of loopback, with storage of its own.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { patient } from "./patience.ts";

/** Options of {@link startRegistry}. */
export interface RegistryOptions {
  /** Login that every request needs. Default: none. */
  login?: { username: string; password: string };
  /** Whether it speaks TLS, with a certificate of an authority made for it. Default false. */
  tls?: boolean;
}

/** Whether the programs that the fixture needs are installed; tests name the missing one in their skip. */
export function missingPrograms(...programs: string[]): string[] {
  const path = (Deno.env.get("PATH") ?? "").split(":");
  return programs.filter((program) =>
    !path.some((directory) => {
      try {
        return Deno.statSync(`${directory}/${program}`).isFile;
      } catch {
        return false; // Not there, or not for us to see: both mean that it cannot be run.
      }
    })
  );
}

/** A running registry. Disposing it ends the process and removes its files. */
export class TestRegistry implements AsyncDisposable {
  /** `127.0.0.1:PORT`, as it stands in image names. */
  readonly host: string;
  /** Directory of everything that belongs to the registry; blobs are below `storage/`. */
  readonly directory: string;
  readonly #process: Deno.ChildProcess;
  readonly #options: RegistryOptions;

  constructor(host: string, directory: string, process: Deno.ChildProcess, options: RegistryOptions) {
    this.host = host;
    this.directory = directory;
    this.#process = process;
    this.#options = options;
  }

  /** A directory as `certificateDirectories` wants it, with the registry's authority under its host. */
  get certificateDirectory(): string {
    return `${this.directory}/certs.d`;
  }

  /**
   * Copies an image (`oci:DIR[:TAG]`, or whatever else skopeo can read) to `repository:tag` of this registry.
   * `format` converts the manifest; `all` takes every platform of an index.
   */
  async push(
    source: string,
    repository: string,
    options: { format?: "oci" | "v2s2"; all?: boolean } = {},
  ): Promise<void> {
    const { login } = this.#options;
    await run("skopeo", [
      "--insecure-policy",
      "copy",
      "--quiet",
      ...(options.all === true ? ["--all"] : []),
      ...(options.format === undefined ? [] : ["--format", options.format]),
      "--dest-tls-verify=false",
      ...(login === undefined ? [] : ["--dest-creds", `${login.username}:${login.password}`]),
      source,
      `docker://${this.host}/${repository}`,
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** Starts a registry and waits until it answers. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const directory = await Deno.makeTempDir({ prefix: "barge-registry-" });
  try {
    // Another program may take the port between our look at it and the registry's start: then once more.
    for (let tries = 1; tries < 5; tries++) {
      const registry = await tryStart(directory, freePort(), options);
      if (registry !== undefined) return registry;
    }
    throw new Error(`docker-registry does not start: ${await Deno.readTextFile(`${directory}/log`)}`);
  } catch (error) {
    await Deno.remove(directory, { recursive: true });
    throw error;
  }
}

async function tryStart(directory: string, port: number, options: RegistryOptions): Promise<TestRegistry | undefined> {
  const host = `127.0.0.1:${port}`;
  if (options.tls === true) await makeCertificates(directory, host);
  const login = options.login;
  if (login !== undefined) {
    await Deno.writeTextFile(`${directory}/htpasswd`, `${login.username}:${await bcrypt(login.password)}\n`);
  }
  const config = {
    version: "0.1",
    log: { level: "warn" },
    storage: { filesystem: { rootdirectory: `${directory}/storage` }, delete: { enabled: true } },
    http: {
      addr: host,
      ...(options.tls === true
        ? { tls: { certificate: `${directory}/server.crt`, key: `${directory}/server.key` } }
        : {}),
    },
    ...(login === undefined ? {} : { auth: { htpasswd: { realm: "barge test", path: `${directory}/htpasswd` } } }),
  };
  // JSON is YAML.
  await Deno.writeTextFile(`${directory}/config.yml`, JSON.stringify(config));
  const process = new Deno.Command("sh", {
    args: ["-c", 'exec docker-registry serve "$1/config.yml" >"$1/log" 2>&1', "sh", directory],
    stdin: "null",
    // A library that the registry uses looks for trace settings in the environment.
    env: { OTEL_TRACES_EXPORTER: "none" },
  }).spawn();
  let ended = false;
  process.status.then(() => ended = true);
  for (let waitedMs = 0; waitedMs < patient(20_000); waitedMs += 20) {
    if (ended) return undefined;
    if (await answers(port)) return new TestRegistry(host, directory, process, options);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  process.kill("SIGKILL");
  await process.status;
  return undefined;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function answers(port: number): Promise<boolean> {
  try {
    using _ = await Deno.connect({ hostname: "127.0.0.1", port });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

/** An authority, and a certificate by it for this host; the authority also goes where clients look for it. */
async function makeCertificates(directory: string, host: string): Promise<void> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const at = (name: string) => `${directory}/${name}`;
  await run("openssl", [
    "req",
    "-x509",
    ...key,
    "-subj",
    "/CN=barge test CA",
    "-keyout",
    at("ca.key"),
    "-out",
    at("ca.crt"),
  ]);
  await run("openssl", [
    "req",
    ...key,
    "-subj",
    "/CN=127.0.0.1",
    "-keyout",
    at("server.key"),
    "-out",
    at("server.csr"),
  ]);
  await Deno.writeTextFile(at("ext"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n");
  await run("openssl", [
    ...["x509", "-req", "-in", at("server.csr"), "-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-CAcreateserial"],
    ...["-days", "2", "-extfile", at("ext"), "-out", at("server.crt")],
  ]);
  await Deno.mkdir(at(`certs.d/${host}`), { recursive: true });
  await Deno.copyFile(at("ca.crt"), at(`certs.d/${host}/ca.crt`));
}

/** The registry takes bcrypt only, which Debian's crypt(3) has, and Perl is always there. */
async function bcrypt(password: string): Promise<string> {
  return await run("perl", ["-e", "print crypt($ARGV[0], q($2y$05$bargebargebargebargebu))", password]);
}

/** Runs a program to its end. Throws what it wrote on stderr when it fails. */
async function run(program: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, stdin: "null" }).output();
  assert(success, `${program}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** What {@link writeLayout} makes. */
export interface LayoutOptions {
  /** Name of the image in the layout. Default `latest`. */
  tag?: string;
  /** Architectures; with more than one the image is an index. Default: `["amd64"]`. */
  architectures?: string[];
  /** The config's `config` object. */
  run?: Record<string, unknown>;
}

/** Writes an OCI layout with one image of the given layers (uncompressed tar archives). */
export async function writeLayout(
  directory: string,
  layers: readonly Uint8Array[],
  options: LayoutOptions = {},
): Promise<void> {
  await Deno.mkdir(`${directory}/blobs/sha256`, { recursive: true });
  const put = async (mediaType: string, content: Uint8Array | string) => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const hex = createHash("sha256").update(bytes).digest("hex");
    await Deno.writeFile(`${directory}/blobs/sha256/${hex}`, bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const type = (name: string) => `application/vnd.oci.image.${name}`;
  const layerEntries = [];
  for (const layer of layers) layerEntries.push(await put(type("layer.v1.tar"), layer));
  const manifests = [];
  for (const architecture of options.architectures ?? ["amd64"]) {
    const config = {
      created: "2024-01-01T00:00:00Z",
      os: "linux",
      architecture,
      config: options.run ?? {},
      rootfs: { type: "layers", diff_ids: layerEntries.map(({ digest }) => digest) },
      history: layers.map(() => ({ created: "2024-01-01T00:00:00Z", created_by: "test" })),
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: type("manifest.v1+json"),
      config: await put(type("config.v1+json"), JSON.stringify(config)),
      layers: layerEntries,
    };
    manifests.push({
      ...await put(manifest.mediaType, JSON.stringify(manifest)),
      platform: { os: "linux", architecture },
    });
  }
  const index = { schemaVersion: 2, mediaType: type("index.v1+json"), manifests };
  const root = manifests.length === 1 ? manifests[0] : await put(index.mediaType, JSON.stringify(index));
  const named = { ...root, annotations: { "org.opencontainers.image.ref.name": options.tag ?? "latest" } };
  await Deno.writeTextFile(`${directory}/index.json`, JSON.stringify({ schemaVersion: 2, manifests: [named] }));
  await Deno.writeTextFile(`${directory}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
}

/** A directory as an uncompressed tar archive with fixed order, owner and times: a layer. */
export async function tarOf(directory: string): Promise<Uint8Array<ArrayBuffer>> {
  const { success, stdout, stderr } = await new Deno.Command("tar", {
    args: ["-C", directory, "--sort=name", "--numeric-owner", "--mtime=@0", "--xattrs", "-cf", "-", "."],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return stdout;
}
