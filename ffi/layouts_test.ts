/**
 * The sizes and offsets of the kernel's structs that are written as numbers in `ffi/` and `shim/`, against the headers.
 */
import { checkAssertions, compilers, type HeaderArch } from "../tests/header_check.ts";
import { needing } from "../tests/peers.ts";
import assert from "node:assert/strict";

interface Layout {
  header: string;
  /** As C writes it. */
  type: string;
  /** Bytes; a pair is [x86_64, aarch64]. Left out where only the first bytes are used. */
  size?: number | readonly [number, number];
  offsets: Readonly<Record<string, number | readonly [number, number]>>;
}

const kernel: readonly Layout[] = [
  { header: "linux/loop.h", type: "struct loop_config", size: 304, offsets: { fd: 0, info: 8, "info.lo_flags": 60 } },
  {
    header: "linux/sched.h",
    type: "struct clone_args",
    offsets: {
      flags: 0,
      pidfd: 8,
      child_tid: 16,
      parent_tid: 24,
      exit_signal: 32,
      stack: 40,
      stack_size: 48,
      tls: 56,
      set_tid: 64,
      set_tid_size: 72,
      cgroup: 80,
    },
  },
  { header: "linux/openat2.h", type: "struct open_how", size: 24, offsets: { flags: 0, mode: 8, resolve: 16 } },
  {
    header: "linux/mount.h",
    type: "struct mount_attr",
    size: 32,
    offsets: { attr_set: 0, attr_clr: 8, propagation: 16, userns_fd: 24 },
  },
  {
    header: "linux/prctl.h",
    type: "struct prctl_mm_map",
    size: 104,
    offsets: {
      start_code: 0,
      end_code: 8,
      start_data: 16,
      end_data: 24,
      start_brk: 32,
      brk: 40,
      start_stack: 48,
      arg_start: 56,
      arg_end: 64,
      env_start: 72,
      env_end: 80,
      auxv: 88,
      auxv_size: 96,
      exe_fd: 100,
    },
  },
  { header: "linux/filter.h", type: "struct sock_fprog", size: 16, offsets: { len: 0, filter: 8 } },
  { header: "linux/filter.h", type: "struct sock_filter", size: 8, offsets: { code: 0, jt: 2, jf: 3, k: 4 } },
  {
    header: "linux/seccomp.h",
    type: "struct seccomp_data",
    size: 64,
    offsets: { nr: 0, arch: 4, instruction_pointer: 8, args: 16 },
  },
  { header: "linux/eventpoll.h", type: "struct epoll_event", size: [12, 16], offsets: { events: 0, data: [4, 8] } },
  {
    header: "asm/siginfo.h",
    type: "siginfo_t",
    size: 128,
    offsets: { si_signo: 0, si_code: 8, "si_pid": 16, si_status: 24 },
  },
  { header: "asm/termios.h", type: "struct winsize", size: 8, offsets: { ws_row: 0, ws_col: 2 } },
  {
    header: "linux/stat.h",
    type: "struct statx",
    size: 256,
    offsets: {
      stx_nlink: 16,
      stx_uid: 20,
      stx_gid: 24,
      stx_mode: 28,
      stx_ino: 32,
      stx_size: 40,
      stx_blocks: 48,
      stx_atime: 64,
      stx_mtime: 112,
      stx_rdev_major: 128,
      stx_rdev_minor: 132,
      stx_dev_major: 136,
      stx_dev_minor: 140,
    },
  },
  { header: "linux/resource.h", type: "struct rlimit64", size: 16, offsets: { rlim_cur: 0, rlim_max: 8 } },
  { header: "linux/utsname.h", type: "struct new_utsname", size: 390, offsets: { nodename: 65, machine: 260 } },
  {
    header: "asm/statfs.h",
    type: "struct statfs",
    size: 120,
    offsets: { f_type: 0, f_bsize: 8, f_blocks: 16, f_bfree: 24, f_bavail: 32, f_flags: 80 },
  },
  { header: "linux/rseq.h", type: "struct rseq", size: 32, offsets: {} },
  { header: "linux/capability.h", type: "struct __user_cap_header_struct", size: 8, offsets: { version: 0, pid: 4 } },
  {
    header: "linux/capability.h",
    type: "struct __user_cap_data_struct",
    size: 12,
    offsets: { effective: 0, permitted: 4, inheritable: 8 },
  },
];

const library: readonly Layout[] = [
  {
    header: "sys/socket.h",
    type: "struct msghdr",
    size: 56,
    offsets: {
      msg_name: 0,
      msg_namelen: 8,
      msg_iov: 16,
      msg_iovlen: 24,
      msg_control: 32,
      msg_controllen: 40,
      msg_flags: 48,
    },
  },
  {
    header: "sys/socket.h",
    type: "struct cmsghdr",
    size: 16,
    offsets: { cmsg_len: 0, cmsg_level: 8, cmsg_type: 12 },
  },
  { header: "sys/uio.h", type: "struct iovec", size: 16, offsets: { iov_base: 0, iov_len: 8 } },
  { header: "sys/un.h", type: "struct sockaddr_un", size: 110, offsets: { sun_family: 0, sun_path: 2 } },
  { header: "net/if.h", type: "struct ifreq", size: 40, offsets: { ifr_name: 0, ifr_flags: 16 } },
  { header: "dirent.h", type: "struct dirent64", offsets: { d_ino: 0, d_reclen: 16, d_type: 18, d_name: 19 } },
  { header: "poll.h", type: "struct pollfd", size: 8, offsets: { fd: 0, events: 4, revents: 6 } },
  { header: "time.h", type: "struct timespec", size: 16, offsets: { tv_sec: 0, tv_nsec: 8 } },
];

function assertionsOf(arch: HeaderArch, layouts: readonly Layout[]): Map<string, string> {
  const assertions = new Map<string, string>();
  const here = (value: number | readonly [number, number]): number =>
    typeof value === "number" ? value : value[arch === "x86_64" ? 0 : 1];
  for (const { type, size, offsets } of layouts) {
    if (size !== undefined) assertions.set(type, `sizeof(${type}) == ${here(size)}`);
    for (const [member, offset] of Object.entries(offsets)) {
      assertions.set(`${type} ${member}`, `offsetof(${type}, ${member}) == ${here(offset)}`);
    }
  }
  return assertions;
}

for (const arch of ["x86_64", "aarch64"] as const) {
  for (const [whose, layouts] of [["kernel", kernel], ["C library", library]] as const) {
    Deno.test({
      ...needing(`structs are laid out as the ${whose}'s headers say on ${arch}`, { peers: compilers[arch].peers }),
      async fn() {
        const headers = [...new Set(layouts.map(({ header }) => header))];
        const verdict = await checkAssertions(arch, headers, assertionsOf(arch, layouts));
        assert.deepEqual(verdict, { wrong: [], unknown: [] });
      },
    });
  }
}
