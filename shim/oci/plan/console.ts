/**
 * Steps that give a process a terminal of the container's own devpts.
 *
 * @module
 */
import type { Process } from "../../../api/oci/runtime_spec.ts";
import { flag, type Program, room, Slot, text, words } from "../../../ffi/program/program.ts";
import type { Paths } from "./paths.ts";

/** What is sent along with the master's descriptor: the terminal's name (runc's console socket protocol). */
const payload = "/dev/ptmx";

/** What {@link addConsole} needs to know besides. */
export interface ConsoleOptions {
  /** Whether `\n` is written as it is. */
  readonly plainLines?: boolean | undefined;
  /** Where /dev/console is to be made. */
  readonly paths?: Paths;
}

/** struct termios as every terminal has it in the beginning (tty_std_termios of the kernel), but with ONLCR off. */
const plainTermios = {
  bytes: 36,
  words: [0x500, 1, 0xbf, 0x8a3b],
  controls: "\0\x03\x1c\x7f\x15\x04\0\x01\0\x11\x13\x1a\0\x12\x0f\x17\x16",
};

/**
 * Opens a terminal, sends its master over the console socket and makes its other side the standard streams and the
 * controlling terminal. `ptmx` is the container's `/dev/pts/ptmx`, opened.
 */
export function addConsole(
  program: Program,
  master: Slot,
  process: Process,
  consoleSocket: number,
  { paths, plainLines }: ConsoleOptions,
): void {
  const does = "open the container's terminal";
  program.add({ call: "ioctl", args: [master, flag("TIOCSPTLCK"), room(4, "[0]")], does });
  const slave = program.result("terminal", {
    call: "ioctl",
    args: [master, flag("TIOCGPTPEER"), flag("O_RDWR", "O_NOCTTY", "O_CLOEXEC")],
    does,
  });
  const size = process.consoleSize;
  if (size !== undefined && size.height > 0 && size.width > 0) {
    const winsize = room(8, `{${size.height} rows, ${size.width} columns}`);
    const view = new DataView(winsize.bytes.buffer);
    view.setUint16(0, size.height, true);
    view.setUint16(2, size.width, true);
    program.add({ call: "ioctl", args: [master, flag("TIOCSWINSZ"), winsize], does: "set the terminal's size" });
  }
  if (plainLines) setPlainLines(program, slave);
  const { uid } = process.user;
  if (uid !== 0) {
    // Only the user: the group is the one of all terminals. The process may open its terminal by name.
    program.add({
      call: "fchown",
      args: [slave, uid, 0xffffffff],
      does: "give the terminal to the user",
      allow: ["EPERM", "EINVAL", "EROFS"],
    });
  }
  if (paths !== undefined) addConsoleNode(paths, slave);
  sendMaster(program, master, consoleSocket);
  for (const target of [0, 1, 2]) program.add({ call: "dup3", args: [slave, target, 0], does });
  program.add({ call: "ioctl", args: [0, flag("TIOCSCTTY"), 0], does });
}

function setPlainLines(program: Program, terminal: Slot): void {
  const termios = room(plainTermios.bytes, "{ONLCR off}");
  const view = new DataView(termios.bytes.buffer);
  plainTermios.words.forEach((word, index) => view.setUint32(index * 4, word, true));
  termios.bytes.set(new TextEncoder().encode(plainTermios.controls), plainTermios.words.length * 4);
  program.add({
    call: "ioctl",
    args: [terminal, flag("TCSETS"), termios],
    does: "leave the terminal's line ends alone",
  });
}

/** Binds the terminal itself, by descriptor, on /dev/console (CVE-2025-52565). */
function addConsoleNode(paths: Paths, slave: Slot): void {
  const does = "make /dev/console";
  const mount = paths.program.result(paths.name("console"), {
    call: "open_tree",
    args: [slave, "", flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_EMPTY_PATH")],
    does,
  });
  const target = paths.ensure("/dev/console", "file", does);
  paths.keepKernelFiles(target, "/dev/console", does);
  paths.attach(mount, target, does);
}

/** sendmsg(2) with SCM_RIGHTS: msghdr 56 bytes, cmsghdr 16 bytes and the descriptor. */
function sendMaster(program: Program, master: Slot, socket: number): void {
  const does = "send the terminal over the console socket";
  const control = room(24, "[SCM_RIGHTS, master]");
  const view = new DataView(control.bytes.buffer);
  view.setBigUint64(0, 20n, true);
  view.setUint32(8, 1, true);
  view.setUint32(12, 1, true);
  program.add({
    call: "fcntl",
    args: [master, flag("F_DUPFD_CLOEXEC"), 0],
    does,
    into: { data: control, offset: 16 },
  });
  const vector = words([text(payload), payload.length]);
  const message = words([0, 0, vector, 1, control, control.bytes.length, 0], "{SCM_RIGHTS}");
  program.add({ call: "sendmsg", args: [socket, message, 0], does, expect: payload.length });
}
