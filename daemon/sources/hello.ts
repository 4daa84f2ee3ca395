/**
 * The image that barge carries with it: `hello`, made in memory, with the same bytes every time.
 *
 * It goes through the same store, unpacking and start as any other image.
 *
 * @module
 */
import { concatBytes } from "../../api/bytes.ts";
import type { Digest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import { type Descriptor, type ImageConfig, mediaTypes } from "../../api/oci/image_spec.ts";
import type { Arch } from "../../ffi/arch.ts";
import { helloElf } from "../../ffi/elf/hello.ts";
import { digestOf } from "./digest_of.ts";
import type { ImageSource } from "./source.ts";

const architectures: readonly [oci: string, arch: Arch][] = [["amd64", "x86_64"], ["arm64", "aarch64"]];

/** Files of the layer: path, mode, contents; a directory without contents. */
type Entry = readonly [path: string, mode: number, contents?: Uint8Array];

/** The built-in image as a source, to be kept under the name. */
export async function helloSource(name: string): Promise<ImageSource> {
  const blobs = new Map<Digest, Uint8Array<ArrayBuffer>>();
  const add = async (mediaType: string, bytes: Uint8Array<ArrayBuffer>): Promise<Descriptor> => {
    const digest = await digestOf(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const addJson = (mediaType: string, value: unknown): Promise<Descriptor> =>
    add(mediaType, new TextEncoder().encode(JSON.stringify(value)));

  const manifests: Descriptor[] = [];
  for (const [architecture, arch] of architectures) {
    const layer = await add(mediaTypes.ociLayer, tar(entries(arch)));
    const platform = { os: "linux", architecture };
    const config: ImageConfig = {
      ...platform,
      created: "1970-01-01T00:00:00Z",
      config: { Entrypoint: ["/hello"], Env: ["PATH=/"], WorkingDir: "/" },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    };
    const manifest = await addJson(mediaTypes.ociManifest, {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: await addJson(mediaTypes.ociConfig, config),
      layers: [layer],
    });
    manifests.push({ ...manifest, platform });
  }
  const root = await addJson(mediaTypes.ociIndex, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });
  return {
    name,
    resolve: () => Promise.resolve(root),
    open: ({ digest }, offset) => {
      const bytes = blobs.get(digest);
      if (bytes === undefined) throw new Failure("NotFound", `the built-in image has no blob ${digest}`);
      // A copy: whoever reads may hand its buffer to another thread.
      return Promise.resolve(ReadableStream.from([bytes.slice(offset)]));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function entries(arch: Arch): Entry[] {
  const file = (text: string): Uint8Array => new TextEncoder().encode(text);
  return [
    ["etc/", 0o755],
    ["etc/passwd", 0o644, file("root:x:0:0:root:/:/hello\nnobody:x:65534:65534:nobody:/:/hello\n")],
    ["etc/group", 0o644, file("root:x:0:\nnogroup:x:65534:\n")],
    ["hello", 0o755, helloElf(arch)],
    ["tmp/", 0o1777],
  ];
}

const blockBytes = 512;

/** A ustar archive, owned by root, all times zero (POSIX.1-1988 header). */
function tar(list: readonly Entry[]): Uint8Array<ArrayBuffer> {
  const blocks = list.flatMap(([path, mode, contents = new Uint8Array()]) => {
    const padded = new Uint8Array(Math.ceil(contents.length / blockBytes) * blockBytes);
    padded.set(contents);
    return [tarHeader(path, mode, contents.length), padded];
  });
  return concatBytes([...blocks, new Uint8Array(2 * blockBytes)]);
}

function tarHeader(path: string, mode: number, size: number): Uint8Array {
  const header = new Uint8Array(blockBytes);
  const put = (offset: number, text: string): void => header.set(new TextEncoder().encode(text), offset);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, "0");
  put(0, path);
  put(100, octal(mode, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(size, 11));
  put(136, octal(0, 11));
  put(148, "        ");
  put(156, path.endsWith("/") ? "5" : "0");
  put(257, "ustar\0" + "00");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, octal(sum, 6) + "\0 ");
  return header;
}
