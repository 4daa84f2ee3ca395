/**
 * The programs and headers of others that tests compare with: Debian packages, installed by `deno task test` where
 * they are missing. A test whose peer is not there is ignored, and its name says so.
 *
 * @module
 */

/** What a test may need from the system. */
export interface Peer {
  /** Debian package (12 or later) that has it. */
  readonly package: string;
  /** A program of the package, looked up in `PATH` and the usual places, or the absolute path of another file. */
  readonly shows: string;
  /** What the tests use it for. */
  readonly use: string;
}

const amd64 = Deno.build.arch === "x86_64";

/** Peer → where it comes from. The names are the packages', except where one package serves on one architecture only. */
export const peers = {
  containerd: { package: "containerd", shows: "containerd", use: "the stock daemon and ctr" },
  runc: { package: "runc", shows: "runc", use: "the OCI runtime that ours is measured against" },
  crun: { package: "crun", shows: "crun", use: "a second OCI runtime, where runc and the specification differ" },
  umoci: { package: "umoci", shows: "umoci", use: "makes images, and unpacks them for comparison" },
  skopeo: { package: "skopeo", shows: "skopeo", use: "copies images between archives, layouts and registries" },
  "docker-registry": { package: "docker-registry", shows: "docker-registry", use: "a real registry on loopback" },
  "docker.io": { package: "docker.io", shows: "dockerd", use: "Docker on barge's socket" },
  podman: { package: "podman", shows: "podman", use: "calls the OCI runtime through conmon" },
  conmon: { package: "conmon", shows: "conmon", use: "calls the OCI runtime for podman" },
  buildah: { package: "buildah", shows: "buildah", use: "calls the OCI runtime for each step of a build" },
  procps: { package: "procps", shows: "ps", use: "tables of processes" },
  "dbus-daemon": { package: "dbus-daemon", shows: "dbus-daemon", use: "a message bus for the client of systemd" },
  bsdutils: { package: "bsdutils", shows: "script", use: "a terminal around a program" },
  "busybox-static": { package: "busybox-static", shows: "/bin/busybox", use: "a root file system of one file" },
  debootstrap: { package: "debootstrap", shows: "debootstrap", use: "makes Debian root file systems" },
  binutils: { package: "binutils", shows: "x86_64-linux-gnu-as", use: "assembles the machine code for x86_64" },
  "binutils-aarch64-linux-gnu": {
    package: "binutils-aarch64-linux-gnu",
    shows: "aarch64-linux-gnu-as",
    use: "assembles the machine code for aarch64",
  },
  "protobuf-compiler": { package: "protobuf-compiler", shows: "protoc", use: "reads the API's .proto files" },
  "libprotobuf-dev": {
    package: "libprotobuf-dev",
    shows: "/usr/include/google/protobuf/any.proto",
    use: "the .proto files that the API's import",
  },
  gcc: { package: "gcc", shows: "gcc", use: "compiles constants and layouts against headers" },
  "libc6-dev": {
    package: "libc6-dev",
    shows: amd64 ? "/usr/include/x86_64-linux-gnu/sys/socket.h" : "/usr/include/sys/socket.h",
    use: "the C library's headers",
  },
  "gcc-aarch64-linux-gnu": {
    package: "gcc-aarch64-linux-gnu",
    shows: "aarch64-linux-gnu-gcc",
    use: "compiles constants and layouts for aarch64",
  },
  "libc6-dev-arm64-cross": {
    package: "libc6-dev-arm64-cross",
    shows: "/usr/aarch64-linux-gnu/include/sys/socket.h",
    use: "the C library's headers for aarch64",
  },
  "linux-libc-dev-arm64-cross": {
    package: "linux-libc-dev-arm64-cross",
    shows: "/usr/aarch64-linux-gnu/include/asm/unistd.h",
    use: "the kernel's headers for aarch64",
  },
  "linux-libc-dev-armhf-cross": {
    package: "linux-libc-dev-armhf-cross",
    shows: "/usr/arm-linux-gnueabihf/include/asm/unistd.h",
    use: "the kernel's headers for 32-bit ARM, which seccomp profiles name",
  },
  "qemu-user-static": {
    package: "qemu-user-static",
    shows: "qemu-aarch64-static",
    use: "runs aarch64 programs on x86_64",
  },
  "qemu-system-x86": {
    package: "qemu-system-x86",
    shows: "qemu-system-x86_64",
    use: "a machine with another kernel, systemd, cgroup version 2 and AppArmor",
  },
  "btrfs-progs": { package: "btrfs-progs", shows: "mkfs.btrfs", use: "file systems for the btrfs snapshotter" },
  e2fsprogs: { package: "e2fsprogs", shows: "mkfs.ext4", use: "file systems for that machine" },
  "libseccomp-dev": { package: "libseccomp-dev", shows: "/usr/include/seccomp.h", use: "filters to compare with" },
  openssl: { package: "openssl", shows: "openssl", use: "certificates for registries" },
  perl: { package: "perl-base", shows: "perl", use: "hashes passwords for registries" },
  attr: { package: "attr", shows: "setfattr", use: "extended attributes in layers" },
  tar: { package: "tar", shows: "tar", use: "archives of every format" },
  zstd: { package: "zstd", shows: "zstd", use: "zstd layers" },
  python3: { package: "python3", shows: "python3", use: "small peers on sockets and terminals" },
  strace: { package: "strace", shows: "strace", use: "fails the n-th system call" },
  iproute2: { package: "iproute2", shows: "ip", use: "looks at network namespaces" },
  "nghttp2-client": { package: "nghttp2-client", shows: "h2load", use: "another HTTP/2 client for the gRPC engine" },
  nodejs: { package: "nodejs", shows: "node", use: "runs @grpc/grpc-js, as another gRPC engine" },
  "util-linux": { package: "util-linux", shows: "unshare", use: "namespaces without a container" },
} as const satisfies Record<string, Peer>;

/** Name of a peer. */
export type PeerName = keyof typeof peers;

const usualDirectories = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false; // Not there, or not for us to see: both mean that it cannot be used.
  }
}

/** Where the peer's program or file lies; undefined where it is missing. */
export function findPeer(name: PeerName): string | undefined {
  const { shows } = peers[name];
  if (shows.startsWith("/")) return isThere(shows) ? shows : undefined;
  const directories = [...(Deno.env.get("PATH") ?? "").split(":").filter((part) => part !== ""), ...usualDirectories];
  return directories.map((directory) => `${directory}/${shows}`).find(isThere);
}

/** Whether the peer is there. */
export function havePeer(name: PeerName): boolean {
  return findPeer(name) !== undefined;
}

/** The peers among `names` that are missing. */
export function missingPeers(...names: PeerName[]): PeerName[] {
  return names.filter((name) => !havePeer(name));
}

/**
 * What a test needs, as options for `Deno.test`: its sentence, with the reason behind it where it is ignored.
 * `root` asks for the user 0; `other` is any further reason, undefined where there is none.
 */
export function needing(
  name: string,
  needs: { peers?: readonly PeerName[]; root?: boolean; other?: string | undefined },
): { name: string; ignore: boolean } {
  const reasons = missingPeers(...needs.peers ?? []).map((peer) => `no ${peer}`);
  if (needs.root === true && Deno.uid() !== 0) reasons.push("not root");
  if (needs.other !== undefined) reasons.push(needs.other);
  return reasons.length === 0
    ? { name, ignore: false }
    : { name: `${name} [ignored: ${reasons.join(", ")}]`, ignore: true };
}
