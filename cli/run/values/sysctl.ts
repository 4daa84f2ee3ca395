/**
 * `--sysctl NAME=VALUE`.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/** Settings of the ipc namespace, which every container has as its own (runtime-spec config-linux.md "Sysctl"). */
const ipc = new Set(
  ("kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem " +
    "kernel.shmall kernel.shmmax kernel.shmmni kernel.shm_rmid_forced").split(" "),
);

/** The setting of a text `NAME=VALUE`. Throws `InvalidArgument` where the whole machine would be changed. */
export function parseSysctl(text: string): readonly [name: string, value: string] {
  const equals = text.indexOf("=");
  const name = text.slice(0, Math.max(equals, 0)).trim();
  const parts = components(name);
  if (!parts.every((part) => /^[A-Za-z0-9_.-]+$/.test(part) && part !== "." && part !== "..")) {
    throw new Failure("InvalidArgument", "want NAME=VALUE such as net.core.somaxconn=512");
  }
  const isOwn = ipc.has(parts.join(".")) || (parts.length > 1 && parts[0] === "net") ||
    (parts.length > 2 && parts[0] === "fs" && parts[1] === "mqueue");
  if (!isOwn) {
    throw new Failure(
      "InvalidArgument",
      "want a setting that a container has as its own: net.*, fs.mqueue.* or kernel.msg*, kernel.sem and kernel.shm*",
    );
  }
  return [name, text.slice(equals + 1)];
}

/** As sysctl(8): the first separator decides which one it is, and the other one then stands for it in a name. */
function components(name: string): string[] {
  const bySlash = name.search(/[./]/) === name.indexOf("/");
  return bySlash ? name.split("/") : name.split(".").map((part) => part.replaceAll("/", "."));
}
