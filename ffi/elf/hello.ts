/**
 * The program of the built-in image: it tells what it sees from inside a container.
 *
 * It is a syscall program itself, so that nothing has to be compiled or carried along.
 *
 * @module
 */
import type { Arch } from "../arch.ts";
import { flag, Label, Program, room, text } from "../program/program.ts";
import { programElf } from "./program_elf.ts";

const stdout = 1;
const textMax = 4096;

/** The static executable for an architecture. */
export function helloElf(arch: Arch): Uint8Array<ArrayBuffer> {
  const program = new Program();
  const buffer = room(textMax, "&text");
  const does = "say hello";

  const say = (line: string): void => {
    const data = text(line);
    program.add({ call: "write", args: [stdout, data, data.bytes.length - 1], does, allow: "any" });
  };
  /** Prints what a call put into the buffer, or a question mark. */
  const show = (name: string, read: () => ReturnType<Program["result"]>, missing: Label, after: string): void => {
    const known = new Label(`${name}_end`);
    const length = read();
    program.add({ call: "write", args: [stdout, buffer, length], does, allow: "any", then: known, otherwise: known });
    program.bind(missing);
    say("?");
    program.bind(known);
    say(after);
  };
  const showLink = (name: string, path: string, after: string): void => {
    const missing = new Label(`${name}_missing`);
    const read = () =>
      program.result(name, {
        call: "readlinkat",
        args: [flag("AT_FDCWD"), path, buffer, textMax],
        does,
        allow: "any",
        otherwise: missing,
      });
    show(name, read, missing, after);
  };
  const showFile = (name: string, path: string, after: string): void => {
    const missing = new Label(`${name}_missing`);
    const read = () => {
      const file = program.result(`${name}_file`, {
        call: "openat",
        args: [flag("AT_FDCWD"), path, flag("O_RDONLY"), 0],
        does,
        allow: "any",
        otherwise: missing,
      });
      return program.result(name, {
        call: "read",
        args: [file, buffer, textMax],
        does,
        allow: "any",
        otherwise: missing,
      });
    };
    show(name, read, missing, after);
  };

  say("Hello from a container that barge started.\n\n");
  say("  process id   ");
  showLink("pid", "/proc/self", " (1 is the first one of its own world)\n");
  say("  host name    ");
  // The file ends with a newline of its own.
  showFile("host", "/proc/sys/kernel/hostname", "");
  say("  namespaces   ");
  const namespaces = ["pid", "mnt", "net", "uts", "ipc", "cgroup", "user"];
  namespaces.forEach((name, index) =>
    showLink(name, `/proc/self/ns/${name}`, index < namespaces.length - 1 ? "\n               " : "\n")
  );
  say("\nCompare with `ls -l /proc/self/ns` outside: what differs is its own.\n");
  say("Try next:  barge run -it --plain-http HOST:PORT/IMAGE sh\n");
  program.add({ call: "exit_group", args: [0], does });
  return programElf(program, arch);
}
