import { equal, throws } from "node:assert/strict";
import { needing } from "../tests/peers.ts";
import { SyscallError } from "./errno.ts";
import { sendDatagram } from "./notify_socket.ts";

/** Prints one datagram that comes to the socket named by its argument; tells when it listens. */
const receiver = `
import os, socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\\0" + name[1:] if name[0] == "@" else name)
s.settimeout(10)
print("ready", flush=True)
print(s.recv(4096).decode(), end="", flush=True)
`;

async function receive(name: string, text: string): Promise<string> {
  const child = new Deno.Command("python3", { args: ["-c", receiver, name], stdout: "piped", stdin: "null" }).spawn();
  let output = "";
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    if (output === "") sendDatagram(name, text);
    output += part;
  }
  await child.status;
  return output;
}

for (const kind of ["path", "abstract name"]) {
  const name = `sendDatagram() sends one datagram to a socket that has a ${kind}`;
  Deno.test(needing(name, { peers: ["python3"] }).name, {
    ignore: needing(name, { peers: ["python3"] }).ignore,
  }, async () => {
    const directory = await Deno.makeTempDir();
    try {
      const socket = kind === "path" ? `${directory}/notify` : `@${directory}/notify`;
      equal(await receive(socket, "READY=1\nSTATUS=ü"), "ready\nREADY=1\nSTATUS=ü");
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

Deno.test("sendDatagram() says what is wrong with a socket that is not there or not possible", () => {
  throws(
    () => sendDatagram("/nowhere/at/all", "x"),
    (error) => error instanceof SyscallError && error.code === "ENOENT",
  );
  throws(() => sendDatagram("relative", "x"), RangeError);
  throws(() => sendDatagram("/" + "x".repeat(107), "x"), RangeError);
});
