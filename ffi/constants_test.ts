import assert from "node:assert/strict";
import { checkAssertions, compilers, type HeaderArch } from "../tests/header_check.ts";
import { needing } from "../tests/peers.ts";
import { constant, type ConstantName, constants, sumOf } from "./constants.ts";

const kernelHeaders = [
  "linux/fcntl.h",
  "linux/openat2.h",
  "linux/memfd.h",
  "linux/mman.h",
  "linux/sched.h",
  "linux/mount.h",
  "linux/prctl.h",
  "linux/seccomp.h",
  "linux/wait.h",
  "linux/eventpoll.h",
  "linux/keyctl.h",
  "linux/rseq.h",
  "linux/resource.h",
  "linux/stat.h",
  "linux/fs.h",
  "linux/loop.h",
  "linux/falloc.h",
  "linux/capability.h",
  "linux/securebits.h",
  "linux/magic.h",
  "linux/bpf.h",
  "linux/sockios.h",
  "linux/nsfs.h",
  "linux/netlink.h",
  "linux/rtnetlink.h",
  "linux/if_link.h",
  "linux/if_addr.h",
  "asm/signal.h",
  "asm/siginfo.h",
  "asm/ioctls.h",
];

const libraryHeaders = [
  "fcntl.h",
  "unistd.h",
  "signal.h",
  "sched.h",
  "poll.h",
  "net/if.h",
  "sys/socket.h",
  "sys/mman.h",
  "sys/mount.h",
  "sys/wait.h",
  "sys/epoll.h",
  "sys/eventfd.h",
  "sys/timerfd.h",
  "sys/ioctl.h",
  "sys/file.h",
  "sys/stat.h",
  "sys/resource.h",
  "sys/xattr.h",
];

/** What the headers of Debian 12 (Linux 6.1) lack, with the kernel's own value and the version it came with. */
const newer: Readonly<Record<string, readonly [value: number, since: string]>> = {
  MFD_EXEC: [0x10, "6.3, include/uapi/linux/memfd.h"],
  // _IOWR(0xff, 11, struct pidfd_info), with the 64 bytes that the struct had at first.
  PIDFD_GET_INFO: [0xc040ff0b, "6.13, include/uapi/linux/pidfd.h"],
  PIDFD_INFO_EXIT: [8, "6.15, include/uapi/linux/pidfd.h"],
};

// The keys of the object are its names by type; Object.keys forgets that.
const names = Object.keys(constants) as ConstantName[];

function assertionsOf(arch: HeaderArch, wanted: readonly string[]): Map<string, string> {
  return new Map(
    names.filter((name) => wanted.includes(name))
      .map((name) => [name, `(long long)(${name}) == ${constant(name, arch)}ll`]),
  );
}

for (const arch of ["x86_64", "aarch64"] as const) {
  Deno.test({
    ...needing(`constants have the values of the headers on ${arch}`, { peers: compilers[arch].peers }),
    async fn() {
      const kernel = await checkAssertions(arch, kernelHeaders, assertionsOf(arch, names));
      assert.deepEqual(kernel.wrong, []);
      const library = await checkAssertions(arch, libraryHeaders, assertionsOf(arch, kernel.unknown));
      assert.deepEqual(library.wrong, []);
      for (const name of library.unknown) {
        assert.ok(name in newer, `${name} is in no header, and not in the list of newer ones`);
      }
    },
  });

  Deno.test({
    ...needing(`checkAssertions() tells a wrong constant on ${arch}`, { peers: compilers[arch].peers }),
    async fn() {
      const assertions = new Map([["O_CREAT", "O_CREAT == 1"], ["O_NONE", "O_NONE == 1"], [
        "O_EXCL",
        "O_EXCL == 0200",
      ]]);
      const verdict = await checkAssertions(arch, kernelHeaders, assertions);
      assert.deepEqual(verdict, { wrong: ["O_CREAT"], unknown: ["O_NONE"] });
    },
  });
}

Deno.test("constants that the headers lack have the values of the kernel's source", () => {
  for (const name of names) {
    const known = newer[name];
    if (known !== undefined) assert.equal(constant(name), known[0], `${name}, ${known[1]}`);
  }
});

Deno.test("constant() and sumOf() give the value of the architecture asked for", () => {
  assert.equal(constant("O_DIRECTORY", "x86_64"), 0o200000);
  assert.equal(constant("O_DIRECTORY", "aarch64"), 0o40000);
  assert.equal(sumOf(["CLONE_INTO_CGROUP", "CLONE_NEWNET"], "x86_64"), 0x240000000);
});
