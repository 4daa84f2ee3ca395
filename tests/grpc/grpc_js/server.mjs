/**
 * The echo service on grpc-js's server, under Node. Arguments: its address, and options of the server as JSON. Ends
 * orderly at the end of standard input.
 */
import process from "node:process";
import { Buffer } from "node:buffer";
import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import { echoDefinition } from "./echo_definition.mjs";

/** Handlers that were given up. */
let abandoned = 0;

const server = new Server({
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  ...JSON.parse(process.argv[3] ?? "{}"),
});

server.addService(echoDefinition, {
  Unary: (call, answer) => answer(null, call.request),
  Fail(call, answer) {
    const [code, ...words] = String(call.request).split(" ");
    answer({ code: status[code], details: words.join(" ") });
  },
  Hang(call) {
    call.on("cancelled", () => abandoned++);
  },
  Metadata: (call, answer) =>
    answer(null, Buffer.from(JSON.stringify({ ...call.metadata.toJSON(), abandoned, path: call.getPath() }))),
  Missing: (_, answer) => answer({ code: status.UNIMPLEMENTED }),
  async Down(call) {
    const count = call.request.readUInt32BE(0), size = call.request.readUInt32BE(4);
    call.on("cancelled", () => abandoned++);
    for (let sent = 0; sent < count && !call.cancelled; sent++) {
      if (!call.write(Buffer.alloc(size))) await new Promise((resolve) => call.once("drain", resolve));
    }
    call.end();
  },
  Up(call, answer) {
    let total = 0;
    call.on("data", ({ length }) => total += length);
    call.on("end", () => answer(null, Buffer.from(String(total))));
  },
  Both(call) {
    call.on("data", (message) => call.write(message));
    call.on("end", () => call.end());
  },
});

server.bindAsync(process.argv[2], ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
  console.log("listening");
});

process.stdin.on("end", () => server.tryShutdown(() => process.exit(0)));
process.stdin.resume();
