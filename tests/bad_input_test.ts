/**
 * Bad input of `barge run`: each is one sentence that names the object, the exit code of docker, and a store and host as
 * they were before.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { barge, execute, type Finished, succeed, systemTest } from "./command.ts";
import { architecture, type BargeRun, runTest } from "./images.ts";
import { writeLayout } from "./registry.ts";

/** Checks a failure of barge itself. */
function assertRefused(ended: Finished, says: RegExp, code = 125): void {
  assert.equal(ended.code, code, ended.stderr);
  assert.match(ended.stderr, says);
  assert.equal(ended.stderr.trim().split("\n").length, 1, `more than one line: ${ended.stderr}`);
  assert(ended.stderr.startsWith("barge: "), ended.stderr);
  assert(!/\n\s+at /.test(ended.stderr), "a stack is no sentence");
  assert.equal(ended.stdout, "");
}

/** A command line that is wrong in itself, and what must be said. */
const wrongFlags: [args: string[], says: RegExp][] = [
  [["--no-such-flag", "hello"], /--no-such-flag/],
  [["--memory", "much", "hello"], /much.*--memory/],
  [["--memory", "1k", "hello"], /--memory.*6m/],
  [["--cpus", "-1", "hello"], /--cpus/],
  [["--cpuset-cpus", "a-b", "hello"], /a-b.*--cpuset-cpus/],
  [["--pids-limit", "x", "hello"], /--pids-limit/],
  [["--network", "bridge", "hello"], /bridge.*--network.*(host|none)/],
  [["--ulimit", "nofile", "hello"], /nofile.*--ulimit/],
  [["--ulimit", "files=1", "hello"], /files.*--ulimit/],
  [["--sysctl", "kernel.panic=1", "hello"], /kernel\.panic/],
  [["--cap-add", "FLY", "hello"], /FLY.*--cap-add/],
  [["--security-opt", "apparmor=x", "hello"], /apparmor/],
  [["--security-opt", "seccomp=/no/such/file", "hello"], /\/no\/such\/file/],
  [["--env-file", "/no/such/file", "hello"], /\/no\/such\/file/],
  [["-v", "name:/x", "hello"], /name/],
  [["-v", "/x:relative", "hello"], /relative/],
  [["--mount", "type=volume,target=/x", "hello"], /volume/],
  [["--tmpfs", "/x:nonsense=1", "hello"], /nonsense/],
  [["--shm-size", "-5", "hello"], /shm-size/],
  [["--platform", "a/b/c/d", "hello"], /platform/i],
  [["--pull", "sometimes", "hello"], /sometimes/],
  [["--name", "a/b", "hello"], /a\/b/],
  [["--hostname", "a b", "hello"], /a b/],
  [["-w", "relative", "hello"], /relative/],
  [["-u", "a:b:c", "hello"], /a:b:c/],
  [["--snapshotter", "btrfs", "hello"], /btrfs/],
  [["UPPER/Case"], /UPPER\/Case/],
  [["oci:/no/such/layout"], /\/no\/such\/layout/],
  [["tar:/no/such/file"], /\/no\/such\/file/],
  [["--rootfs", "/no/such/root", "true"], /\/no\/such\/root/],
  [[], /needs an image/],
];

systemTest("barge run refuses wrong flags and names in one sentence", [], async () => {
  const root = await Deno.makeTempDir({ prefix: "barge-flags-" });
  try {
    for (const [args, says] of wrongFlags) {
      const ended = await execute([...barge, "run", "--root", `${root}/r`, "--state", `${root}/s`, ...args]);
      assert.equal(ended.code, 125, `${args.join(" ")}: ${ended.stdout}`);
      assertRefused(ended, says);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

runTest("barge run refuses a user, a group and a capability that are not there", [], async (run, image) => {
  await run.succeed(["--quiet", image, "true"]);
  const before = await run.storeFiles();
  assertRefused(await run.execute(["-u", "nobody-here", image, "true"]), /nobody-here/);
  assertRefused(await run.execute(["-u", "0:no-group", image, "true"]), /no-group/);
  const bounding = BigInt(`0x${/^CapBnd:\s*(\S+)$/m.exec(await Deno.readTextFile("/proc/self/status"))?.[1]}`);
  if ((bounding >> 24n & 1n) === 0n) {
    assertRefused(await run.execute(["--cap-add", "SYS_RESOURCE", image, "true"]), /SYS_RESOURCE/);
  }
  assertRefused(await run.execute(["--cpuset-cpus", "4000", image, "true"]), /4000/);
  assert.deepEqual(await run.storeFiles(), before);
});

systemTest("barge run without root says what it needs", ["setpriv"], async () => {
  const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  assertRefused(await execute([...nobody, ...barge, "run", "hello"], { cwd: "/" }), /root.*65534|65534.*root/);
});

/** One member of a layer for {@link badLayers}, as Python's tarfile takes it. */
const layerMaker = `
import io, sys, tarfile
with tarfile.open(sys.argv[1], 'w') as tar:
    for text in sys.argv[2:]:
        kind, name, rest = text.split('|')
        info = tarfile.TarInfo(name)
        info.mode = 0o755
        data = b''
        if kind == 'f': data = rest.encode()
        if kind == 'd': info.type = tarfile.DIRTYPE
        if kind == 's': info.type, info.linkname = tarfile.SYMTYPE, rest
        if kind == 'l': info.type, info.linkname = tarfile.LNKTYPE, rest
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
`;

/** Layers that try to write outside; \`OUT\` stands for a directory of the host. Refused or harmless, never obeyed. */
const badLayers: [what: string, layers: string[][]][] = [
  ["a name with ..", [["f|../../../../../../../../OUT/escaped|x"]]],
  ["an absolute name", [["f|OUT/escaped|x"]]],
  ["a symbolic link and a file below it", [["s|way|OUT", "f|way/escaped|x"]]],
  ["a symbolic link in one layer and a file below it in the next", [["s|way|OUT"], ["f|way/escaped|x"]]],
  ["a relative symbolic link far up", [["s|way|../../../../../../../../../../OUT", "f|way/escaped|x"]]],
  ["a hard link to a file of the host", [["l|link|OUT/kept", "f|link|overwritten"]]],
  ["a hard link through a symbolic link", [["s|way|OUT", "l|link|way/kept", "f|link|overwritten"]]],
  ["a whiteout below a symbolic link", [["s|way|OUT", "f|way/.wh.kept|"]]],
  ["a whiteout of the directory above", [["d|sub|", "f|sub/.wh...|"]]],
  ["an opaque mark below a symbolic link", [["s|way|OUT"], ["f|way/.wh..wh..opq|"]]],
];

for (const [what, layers] of badLayers) {
  runTest(`a layer with ${what} changes nothing on the host`, ["python3"], async (run, _image, scratch) => {
    const outside = `${scratch.path}/outside`;
    await Deno.mkdir(outside);
    await Deno.writeTextFile(`${outside}/kept`, "kept\n");
    const tars: Uint8Array[] = [];
    for (const [index, members] of layers.entries()) {
      const path = `${scratch.path}/layer-${index}.tar`;
      const named = members.map((member) => member.replace("OUT", outside));
      await succeed(["python3", "-c", layerMaker, path, ...named]);
      tars.push(await Deno.readFile(path));
    }
    const layout = `${scratch.path}/bad`;
    await writeLayout(layout, tars, { architectures: [architecture] });
    for (const snapshotter of ["overlayfs", "native"]) {
      const ended = await run.execute(["--quiet", "--snapshotter", snapshotter, `oci:${layout}:latest`, "/no/such"]);
      assert([125, 127].includes(ended.code), ended.stderr);
      assert.equal(ended.stderr.trim().split("\n").length, 1, ended.stderr);
      assert.deepEqual([...Deno.readDirSync(outside)].map(({ name }) => name), ["kept"]);
      assert.equal(await Deno.readTextFile(`${outside}/kept`), "kept\n");
    }
  });
}

/** A registry of this process that answers what a test wants. */
class OddRegistry implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(answer: (path: string, request: Request) => Response) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => answer(new URL(request.url).pathname, request),
    );
  }

  get image(): string {
    return `127.0.0.1:${this.#server.addr.port}/app:1`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const digestOf = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** A whole small image, whose blobs a test replaces. */
function smallImage() {
  const layer = new Uint8Array(10_240);
  const config = json({
    os: "linux",
    architecture,
    config: {},
    rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
  });
  const entry = (mediaType: string, bytes: Uint8Array) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const manifest = json({
    schemaVersion: 2,
    mediaType: manifestType,
    config: entry("application/vnd.oci.image.config.v1+json", config),
    layers: [entry("application/vnd.oci.image.layer.v1.tar", layer)],
  });
  return { layer, config, manifest };
}

function serve(replace: (path: string) => Response | undefined): OddRegistry {
  const { layer, config, manifest } = smallImage();
  return new OddRegistry((path, request) => {
    const replaced = replace(path);
    if (replaced !== undefined) return replaced;
    if (path === "/v2/") return new Response("{}");
    if (path.includes("/manifests/")) {
      const headers = {
        "content-type": manifestType,
        "docker-content-digest": digestOf(manifest),
        "content-length": `${manifest.length}`,
      };
      return new Response(request.method === "HEAD" ? null : manifest, { headers });
    }
    for (const bytes of [layer, config]) if (path.endsWith(digestOf(bytes))) return new Response(bytes);
    return new Response("{}", { status: 404 });
  });
}

/** Answers of registries on bad days. */
const badAnswers: [what: string, replace: (path: string) => Response | undefined, says: RegExp][] = [
  [
    "an unknown image",
    (path) => path.includes("/manifests/") ? notThere("MANIFEST_UNKNOWN") : undefined,
    /app:1.*no such image/,
  ],
  [
    "missing rights",
    (path) => path.includes("/manifests/") ? new Response("{}", { status: 401 }) : undefined,
    /(401|unauthori|login|authenticat)/i,
  ],
  [
    "forbidden",
    (path) => path.includes("/manifests/") ? new Response("{}", { status: 403 }) : undefined,
    /(403|denied|forbidden)/i,
  ],
  ["a server error", (path) => path.includes("/manifests/") ? new Response("", { status: 503 }) : undefined, /503/],
  [
    "too many requests",
    (path) =>
      path.includes("/manifests/") ? new Response("", { status: 429, headers: { "retry-after": "0" } }) : undefined,
    /429|too many/i,
  ],
  [
    "a missing layer",
    (path) => path.endsWith(digestOf(smallImage().layer)) ? notThere("BLOB_UNKNOWN") : undefined,
    /sha256:.*|not found/,
  ],
  [
    "a wrong layer",
    (path) => path.endsWith(digestOf(smallImage().layer)) ? new Response(new Uint8Array(10_240).fill(1)) : undefined,
    /digest|sha256/,
  ],
  [
    "a longer layer",
    (path) => path.endsWith(digestOf(smallImage().layer)) ? new Response(new Uint8Array(20_480)) : undefined,
    /size|bytes|longer|digest/,
  ],
  [
    "half a layer, each time",
    (path) => path.endsWith(digestOf(smallImage().layer)) ? new Response(new Uint8Array(5_000)) : undefined,
    /sha256|bytes/,
  ],
  [
    "a manifest that is no JSON",
    (path) =>
      path.includes("/manifests/") ? new Response("<html>", { headers: { "content-type": manifestType } }) : undefined,
    /JSON|manifest/i,
  ],
];

function notThere(code: string): Response {
  return new Response(JSON.stringify({ errors: [{ code, message: "unknown" }] }), { status: 404 });
}

for (const [what, replace, says] of badAnswers) {
  runTest(`a registry that answers with ${what} is one sentence, and the next pull works`, [], async (run) => {
    {
      await using bad = serve(replace);
      const ended = await run.execute(["--quiet", "--plain-http", bad.image, "/x"], { timeoutMs: 55_000 });
      assertRefused(ended, says);
      assert.match(ended.stderr, /app|sha256:/);
    }
    await assertNothingPulled(run);
    await using good = serve(() => undefined);
    // The image is empty: the program cannot be there, but everything before it works.
    assert.equal((await run.execute(["--quiet", "--plain-http", good.image, "/x"])).code, 127);
  });
}

/** No image, snapshot or lease; an ingest may wait to be resumed. */
async function assertNothingPulled(run: BargeRun): Promise<void> {
  const files = (await run.storeFiles()).filter((path) => /snapshots\/\d|leases\/.|trash\/./.test(path));
  assert.deepEqual(files, []);
}

runTest("an unreachable registry is one sentence", [], async (run) => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  assertRefused(
    await run.execute(["--quiet", `127.0.0.1:${port}/app:1`, "true"]),
    new RegExp(`127\\.0\\.0\\.1:${port}`),
  );
});

runTest("an image for another platform only is one sentence", [], async (run, _image, scratch) => {
  const layout = `${scratch.path}/foreign`;
  await writeLayout(layout, [new Uint8Array(10_240)], { architectures: ["s390x", "riscv64"] });
  assertRefused(await run.execute(["--quiet", `oci:${layout}:latest`, "true"]), /s390x.*riscv64|riscv64.*s390x/);
});

runTest("a layout's broken blob is one sentence, and the store stays as it was", [], async (run, image) => {
  const blobs = `${image.slice(4, -":latest".length)}/blobs/sha256`;
  const [largest] = [...Deno.readDirSync(blobs)].map(({ name }) => name)
    .sort((a, b) => Deno.statSync(`${blobs}/${b}`).size - Deno.statSync(`${blobs}/${a}`).size);
  const bytes = await Deno.readFile(`${blobs}/${largest}`);
  const half = bytes.length >> 1;
  bytes[half] = bytes[half]! ^ 1;
  await Deno.writeFile(`${blobs}/${largest}`, bytes);
  assertRefused(await run.execute(["--quiet", image, "true"]), new RegExp(largest!));
  await assertNothingPulled(run);
  await Deno.truncate(`${blobs}/${largest}`, half);
  assertRefused(await run.execute(["--quiet", image, "true"]), new RegExp(largest!));
  await assertNothingPulled(run);
});
