/**
 * Layers against real parts: archives by Python's tarfile and GNU tar, and the trees that umoci makes of them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { LayerWorker } from "../daemon/diff/layer_worker.ts";
import { settleLayer } from "../daemon/diff/settle.ts";

const plainType = "application/vnd.oci.image.layer.v1.tar";

function missing(...tools: string[]): string[] {
  const found = (tool: string) =>
    (Deno.env.get("PATH") ?? "").split(":").some((dir) => {
      try {
        return Deno.statSync(`${dir}/${tool}`).isFile;
      } catch {
        return false;
      }
    });
  const absent = tools.filter((tool) => !found(tool)).map((tool) => `no ${tool}`);
  return Deno.uid() === 0 ? absent : ["not root", ...absent];
}

function peerTest(name: string, tools: string[], body: () => Promise<void>): void {
  const reasons = missing(...tools);
  Deno.test({
    name: reasons.length === 0 ? name : `${name} (skipped: ${reasons.join(", ")})`,
    ignore: reasons.length > 0,
    fn: body,
  });
}

async function command(program: string, args: string[], cwd?: string): Promise<string> {
  const output = await new Deno.Command(program, { args, stderr: "piped", ...(cwd === undefined ? {} : { cwd }) })
    .output();
  const decoder = new TextDecoder();
  assert.equal(output.code, 0, `${program} ${args.join(" ")}: ${decoder.decode(output.stderr)}`);
  return decoder.decode(output.stdout);
}

/** A directory on tmpfs, where extended attributes, devices and overlay uppers work. */
async function scratch(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "barge-layers-" });
  await command("mount", ["-t", "tmpfs", "barge-test", path]);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await command("umount", ["-R", path]);
      await Deno.remove(path);
    },
  };
}

/** Prints one line for each file below a directory with everything that a layer can carry, hard links by group. */
const scanner = `
import hashlib, os, stat, sys
root = os.fsencode(sys.argv[1])
groups, lines = {}, []
for top, dirs, files in os.walk(root):
    for name in sorted(dirs + files):
        path = os.path.join(top, name)
        rel = os.path.relpath(path, root)
        st = os.lstat(path)
        kind = stat.S_IFMT(st.st_mode)
        info = [oct(st.st_mode), st.st_uid, st.st_gid]
        if os.fsdecode(rel) not in sys.argv[2:]: info.append(st.st_mtime_ns)
        if kind == stat.S_IFREG:
            with open(path, 'rb') as f: info += [st.st_size, hashlib.sha256(f.read()).hexdigest()]
        if kind == stat.S_IFLNK: info += [os.readlink(path)]
        if kind in (stat.S_IFCHR, stat.S_IFBLK): info += [os.major(st.st_rdev), os.minor(st.st_rdev)]
        info += [(k, os.getxattr(path, k, follow_symlinks=False)) for k in sorted(os.listxattr(path, follow_symlinks=False)) if not k.startswith('trusted.')]
        if kind != stat.S_IFDIR: groups.setdefault((st.st_dev, st.st_ino), []).append(rel)
        lines.append((rel, info))
for rel, info in sorted(lines): print(rel, info)
for group in sorted(sorted(g) for g in groups.values()):
    if len(group) > 1: print('same file', group)
`;

/** Directories without an entry in the layer that changes them: their times are nobody's promise. */
const timeless = ["implied/sub", "fresh", "fresh/dir"];

async function scan(dir: string): Promise<string[]> {
  return (await command("python3", ["-c", scanner, dir, ...timeless])).trimEnd().split("\n");
}

/** Three layers with all that the image specification has, and what writers make of it. */
const imageMaker = `
import io, os, sys, tarfile
out = sys.argv[1]
def layer(name, fmt, entries):
    with tarfile.open(os.path.join(out, name), 'w', format=fmt, encoding='utf-8', errors='surrogateescape') as tar:
        for e in entries:
            info = tarfile.TarInfo(e['name'])
            info.type = e.get('type', tarfile.REGTYPE)
            info.mode = e.get('mode', 0o644); info.uid = e.get('uid', 0); info.gid = e.get('gid', 0)
            info.mtime = e.get('mtime', 1700000000); info.linkname = e.get('link', '')
            info.devmajor, info.devminor = e.get('dev', (0, 0))
            info.pax_headers = e.get('pax', {})
            data = e.get('data', b'')
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
D, L, S, F = tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE
d = lambda name, **k: dict(name=name, type=D, mode=k.pop('mode', 0o755), **k)
f = lambda name, **k: dict(name=name, data=k.pop('data', name.encode('utf-8', 'surrogateescape')), **k)
long = '/'.join(['directory-number-%02d-with-a-long-name' % i for i in range(9)])
layer('1.tar', tarfile.PAX_FORMAT, [
    d('./'), d('usr', mtime=1500000000.25), d('usr/lib'), d('usr/lib/deep', mode=0o2750, uid=7, gid=8, mtime=1400000000.5),
    dict(name='lib', type=S, link='usr/lib'), f('usr/lib/a.so', mode=0o755), f('usr/lib/deep/x'),
    d('tmp', mode=0o1777), f('setuid', mode=0o6755, uid=1, gid=2), f('none', mode=0),
    f('big-owner', uid=3000000000, gid=2999999999), f('nanos', mtime=1234567890.123456789),
    f('pax-time', pax={'mtime': '1234567890.987654321', 'atime': '1234567891.5'}),
    f('attr', pax={'SCHILY.xattr.user.one': 'value', 'SCHILY.xattr.user.two': 'x=y=z'}),
    f('cap', mode=0o755, uid=5, pax={'SCHILY.xattr.security.capability': '\\x01\\0\\0\\x02\\0\\x20\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0'}),
    dict(name='fifo', type=F, mode=0o622), dict(name='null', type=tarfile.CHRTYPE, dev=(1, 3), mode=0o666),
    dict(name='disk', type=tarfile.BLKTYPE, dev=(259, 70000), mode=0o660, gid=6),
    dict(name='dangling', type=S, link='/nowhere/../else', uid=11), f('hard-1', data=b'x' * 5000), dict(name='hard-2', type=L, link='hard-1'),
    dict(name='link-to-link', type=L, link='dangling', uid=11),
    d('etc'), f('etc/gone'), f('etc/stays'), f('etc/replaced'), d('etc/dir-gone'), f('etc/dir-gone/x'), d('etc/dir-gone/sub'), f('etc/dir-gone/sub/y'),
    d('opaque', uid=3), f('opaque/old-1'), d('opaque/old-dir'), f('opaque/old-dir/x'), f('opaque/kept-name'),
    d('becomes-file'), f('becomes-file/x'), f('becomes-dir'), dict(name='link-becomes-dir', type=S, link='etc'),
    f('caf\\u00e9'), f('latin-\\udce9'), f('usr/' + 'n' * 200), d('empty'), d('reborn'), f('reborn/old'),
    d('implied', mode=0o2710, uid=31, gid=32, pax={'SCHILY.xattr.user.dir': 'yes'}), d('implied/sub', mode=0o700, uid=33),
    d('shared', mode=0o751, uid=21, gid=22), f('shared/target', data=b'shared', mode=0o604, uid=9),
] + [d('/'.join(long.split('/')[:i + 1])) for i in range(9)] + [f(long + '/end')])
layer('2.tar', tarfile.GNU_FORMAT, [
    d('etc', mode=0o711), f('etc/.wh.gone'), f('etc/.wh.dir-gone'), f('etc/replaced', data=b'new', mode=0o600, uid=3000000),
    d('opaque', uid=4), f('opaque/.wh..wh..opq'), f('opaque/new'), d('opaque/new-dir'), f('opaque/kept-name', data=b'2'),
    f('becomes-file', data=b'now a file'), d('becomes-dir'), f('becomes-dir/x'), d('link-becomes-dir'), f('link-becomes-dir/x'),
    d('usr', mtime=1600000000), f('usr/' + 'm' * 180), dict(name='usr/second', type=L, link='usr/' + 'm' * 180),
    dict(name='usr/long-target', type=S, link='t' * 150), d('later', mode=0o700), f('later/x'), f('.wh.empty'),
])
layer('3.tar', tarfile.USTAR_FORMAT, [
    f('.wh.later'), f('.wh.reborn'), d('reborn', mode=0o750), f('reborn/new'), d('shared', mode=0o751, uid=21, gid=22),
    dict(name='shared/link', type=L, link='shared/target', mode=0o604, uid=9), d('usr', mtime=1600000000), d('usr/lib'),
    f('usr/lib/b.so', mode=0o755), dict(name='usr/lib/c.so', type=L, link='usr/lib/b.so', mode=0o755), f('.wh.disk'),
    f('implied/sub/file'), f('fresh/dir/file'),
])
`;

interface ImageLayer {
  readonly digest: string;
  readonly diffId: string;
  readonly mediaType: string;
  readonly path: string;
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Puts tar archives into an OCI layout with tag "latest", every second one compressed. */
async function writeLayout(dir: string, tars: string[]): Promise<ImageLayer[]> {
  await Deno.mkdir(`${dir}/blobs/sha256`, { recursive: true });
  const store = async (bytes: Uint8Array) => {
    const digest = sha256(bytes);
    await Deno.writeFile(`${dir}/blobs/sha256/${digest.slice(7)}`, bytes);
    return { digest, size: bytes.length };
  };
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const layers: ImageLayer[] = [];
  const descriptors = [];
  for (const [index, path] of tars.entries()) {
    const tar = await Deno.readFile(path);
    const isCompressed = index % 2 === 0;
    const mediaType = isCompressed ? `${plainType}+gzip` : plainType;
    const blob = await store(isCompressed ? gzipSync(tar) : tar);
    layers.push({
      digest: blob.digest,
      diffId: sha256(tar),
      mediaType,
      path: `${dir}/blobs/sha256/${blob.digest.slice(7)}`,
    });
    descriptors.push({ mediaType, ...blob });
  }
  const rootfs = { type: "layers", diff_ids: layers.map((layer) => layer.diffId) };
  const config = await store(json({ architecture: "amd64", os: "linux", config: {}, rootfs, history: [] }));
  const manifest = await store(json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
    layers: descriptors,
  }));
  const annotations = { "org.opencontainers.image.ref.name": "latest" };
  const manifests = [{ mediaType: "application/vnd.oci.image.manifest.v1+json", ...manifest, annotations }];
  await Deno.writeFile(`${dir}/index.json`, json({ schemaVersion: 2, manifests }));
  await Deno.writeTextFile(`${dir}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
  return layers;
}

/** Applies all layers one after another into one tree. */
async function applyPlain(layers: ImageLayer[], dir: string): Promise<void> {
  await Deno.mkdir(dir);
  using worker = new LayerWorker();
  for (const layer of layers) {
    worker.start({ mediaType: layer.mediaType, blob: layer.path, offset: 0, target: { dir, form: "plain" } });
    const result = await worker.finish();
    assert.deepEqual([result.digest, result.diffId], [layer.digest, layer.diffId]);
  }
}

/** Applies all layers at the same time into upper directories, settles and mounts them. */
async function applyOverlay(layers: ImageLayer[], dir: string): Promise<string> {
  const uppers = layers.map((_, index) => `${dir}/${index}`);
  const results = await Promise.all(layers.map(async (layer, index) => {
    await Deno.mkdir(uppers[index]!, { recursive: true });
    using worker = new LayerWorker();
    const target = { dir: uppers[index]!, form: "overlay" as const };
    worker.start({ mediaType: layer.mediaType, blob: layer.path, offset: 0, target });
    return await worker.finish();
  }));
  for (const [index, result] of results.entries()) {
    settleLayer(uppers[index]!, uppers.slice(0, index).toReversed(), result);
  }
  const merged = `${dir}/merged`;
  await Deno.mkdir(merged);
  await command("mount", ["-t", "overlay", "overlay", "-o", `lowerdir=${uppers.toReversed().join(":")}`, merged]);
  return merged;
}

peerTest("layers in both forms give the tree that umoci unpacks", ["umoci", "python3", "mount"], async () => {
  await using tmp = await scratch();
  await command("python3", ["-c", imageMaker, tmp.path]);
  const layers = await writeLayout(`${tmp.path}/image`, [1, 2, 3].map((number) => `${tmp.path}/${number}.tar`));
  await command("umoci", ["unpack", "--image", `${tmp.path}/image:latest`, `${tmp.path}/bundle`]);
  const wanted = await scan(`${tmp.path}/bundle/rootfs`);
  await applyPlain(layers, `${tmp.path}/plain`);
  assert.deepEqual(await scan(`${tmp.path}/plain`), wanted);
  assert.deepEqual(await scan(await applyOverlay(layers, `${tmp.path}/overlay`)), wanted);
});

for (const format of ["gnu", "0.0", "0.1", "1.0"]) {
  peerTest(`a sparse file in GNU tar's format ${format} keeps contents and holes`, ["tar"], async () => {
    await using tmp = await scratch();
    const file = await Deno.open(`${tmp.path}/sparse`, { create: true, write: true });
    for (let index = 0; index < 40; index++) {
      await file.seek(index * 1_000_000 + 17, Deno.SeekMode.Start);
      await file.write(new TextEncoder().encode(`piece ${index}`));
    }
    await file.truncate(50_000_000);
    file.close();
    const how = format === "gnu" ? ["--format=gnu"] : ["--format=posix", `--sparse-version=${format}`];
    await command("tar", ["-cf", "s.tar", "--sparse", ...how, "sparse"], tmp.path);
    const stored = (await Deno.stat(`${tmp.path}/s.tar`)).size;
    assert.ok(stored < 1_000_000, `GNU tar stored ${stored} bytes: not as a sparse file`);
    await Deno.mkdir(`${tmp.path}/out`);
    using worker = new LayerWorker();
    const target = { dir: `${tmp.path}/out`, form: "plain" as const };
    worker.start({ mediaType: plainType, blob: `${tmp.path}/s.tar`, offset: 0, target });
    await worker.finish();
    assert.equal(
      sha256(await Deno.readFile(`${tmp.path}/out/sparse`)),
      sha256(await Deno.readFile(`${tmp.path}/sparse`)),
    );
    const { blocks } = await Deno.stat(`${tmp.path}/out/sparse`);
    assert.ok(blocks !== null && blocks * 512 < 1_000_000, `the file takes ${blocks} blocks: its holes were filled`);
  });
}

const bigFile = `
import io, sys, tarfile
with tarfile.open(sys.argv[1], 'w') as tar:
    for name in ('small', 'dir/large'):
        info = tarfile.TarInfo(name)
        info.size = 100 if name == 'small' else 3000000
        tar.addfile(info, io.BytesIO(bytes(info.size)))
`;

peerTest("a full disk is one sentence that names the file", ["mount", "python3"], async () => {
  await using tmp = await scratch();
  await command("python3", ["-c", bigFile, `${tmp.path}/big.tar`]);
  await Deno.mkdir(`${tmp.path}/small`);
  await command("mount", ["-t", "tmpfs", "-o", "size=1m", "barge-test", `${tmp.path}/small`]);
  using worker = new LayerWorker();
  const target = { dir: `${tmp.path}/small`, form: "plain" as const };
  worker.start({ mediaType: plainType, blob: `${tmp.path}/big.tar`, offset: 0, target });
  await assert.rejects(worker.finish(), {
    code: "ResourceExhausted",
    message: 'unpacking "dir/large": no space left on device',
  });
  await Deno.remove(`${tmp.path}/small/dir`, { recursive: true });
  const ingestData = `${tmp.path}/small/data`;
  worker.start({ mediaType: plainType, offset: 0, ingestData });
  const write = async () => {
    for (let chunk = 0; chunk < 40; chunk++) await worker.write(new Uint8Array(65536));
    await worker.finish();
  };
  await assert.rejects(write(), {
    code: "ResourceExhausted",
    message: `storing the layer in "${ingestData}": no space left on device`,
  });
  await worker.abort();
});

/** Applies a tar file to a directory and prints the failure; run where rights or the program's shape differ. */
const applyProgram = (module: string) => `
import { LayerWorker } from ${JSON.stringify(module)};
using worker = new LayerWorker();
const [blob, dir] = Deno.args;
worker.start({ mediaType: "${plainType}", blob, offset: 0, target: { dir, form: "plain" } });
try {
  const { diffId, warnings = [] } = await worker.finish();
  console.log([diffId, ...warnings].join("\\n"));
} catch (error) {
  console.log(error.code + ": " + error.message);
}
`;

const moduleUrl = new URL("../daemon/diff/layer_worker.ts", import.meta.url);

/** Applies an archive that holds one device, by a process that is started through another program. */
async function applyDevice(launcher: string, args: string[]): Promise<string> {
  await using tmp = await scratch();
  const device = "import tarfile, sys; t = tarfile.open(sys.argv[1], 'w'); i = tarfile.TarInfo('dev/null'); " +
    "i.type = tarfile.CHRTYPE; i.devmajor, i.devminor = 1, 3; t.addfile(i); t.close()";
  await command("python3", ["-c", device, `${tmp.path}/device.tar`]);
  await Deno.writeTextFile(`${tmp.path}/apply.ts`, applyProgram(moduleUrl.href));
  await Deno.mkdir(`${tmp.path}/out`);
  const program = [Deno.execPath(), "run", "-A", "--no-lock", `${tmp.path}/apply.ts`, `${tmp.path}/device.tar`];
  return await command(launcher, [...args, ...program, `${tmp.path}/out`]);
}

peerTest("a device node without the right to make it is one sentence", ["setpriv", "python3"], async () => {
  const printed = await applyDevice("setpriv", ["--bounding-set", "-mknod", "--inh-caps", "-mknod"]);
  assert.match(
    printed,
    /^PermissionDenied: unpacking "dev\/null": making char device 1:3 needs .*CAP_MKNOD.*: run as root/,
  );
});

peerTest("a device node is left out with a warning in a user namespace", ["unshare", "python3"], async () => {
  const printed = await applyDevice("unshare", ["--user", "--map-root-user"]);
  assert.match(
    printed,
    /^sha256:[0-9a-f]+\ndevice "dev\/null" was left out: a user namespace cannot make device nodes\n$/,
  );
});

peerTest("a bundled program finds its worker beside itself", ["python3"], async () => {
  await using tmp = await scratch();
  await command("python3", ["-c", bigFile, `${tmp.path}/big.tar`]);
  await Deno.writeTextFile(`${tmp.path}/apply.ts`, applyProgram(moduleUrl.href));
  const bundle = (entry: string, output: string) =>
    command(Deno.execPath(), ["bundle", "--quiet", "--no-lock", "-o", `${tmp.path}/${output}`, entry]);
  await bundle(`${tmp.path}/apply.ts`, "program.js");
  await bundle(new URL("./layer_worker_main.ts", moduleUrl).pathname, "layer_worker_main.js");
  await Deno.mkdir(`${tmp.path}/out`);
  const args = ["run", "-A", "--no-config", `${tmp.path}/program.js`, `${tmp.path}/big.tar`, `${tmp.path}/out`];
  assert.equal((await command(Deno.execPath(), args)).trim(), sha256(await Deno.readFile(`${tmp.path}/big.tar`)));
});
