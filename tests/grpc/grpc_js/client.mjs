/**
 * Calls every method of the echo service through grpc-js and prints what came of it as one line of JSON. Then it closes
 * its channel, and ends when nothing is left to wait for. Runs under Node and under Deno. Argument: the server's address.
 */
import process from "node:process";
import { Buffer } from "node:buffer";
import { makeGenericClientConstructor, Metadata } from "@grpc/grpc-js";
import { echoDefinition } from "./echo_definition.mjs";

const Client = makeGenericClientConstructor(echoDefinition, "Echo");
const { credentials } = await import("@grpc/grpc-js");
const client = new Client(process.argv[2], credentials.createInsecure(), {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
});

/** One call with one answer: its bytes, or its failure. */
function unary(method, request, metadata = new Metadata(), options = {}, begun = () => {}) {
  return new Promise((resolve) => {
    const call = client[method](request, metadata, options, (error, answer) => {
      resolve(error ? { code: error.code, details: error.details } : answer);
    });
    begun(call);
  });
}

/** All messages of a stream, and how it ended. */
function collected(call) {
  return new Promise((resolve) => {
    const messages = [];
    call.on("data", (message) => messages.push(message));
    call.on("error", (error) => resolve({ messages, code: error.code }));
    call.on("end", () => resolve({ messages, code: 0 }));
  });
}

function downRequest(messages, bytesEach) {
  const request = Buffer.alloc(8);
  request.writeUInt32BE(messages, 0);
  request.writeUInt32BE(bytesEach, 4);
  return request;
}

function up(messages, bytesEach) {
  return new Promise((resolve) => {
    const call = client.Up((error, answer) => resolve(error ? error.code : String(answer)));
    for (let sent = 0; sent < messages; sent++) call.write(Buffer.alloc(bytesEach));
    call.end();
  });
}

/** Sends the next message when the last has come back. */
function pingPong(rounds) {
  return new Promise((resolve) => {
    const call = client.Both(), echoes = [];
    call.on("data", (message) => {
      echoes.push(String(message));
      if (echoes.length === rounds) call.end();
      else call.write(Buffer.from(String(echoes.length)));
    });
    call.on("error", (error) => resolve({ echoes, code: error.code }));
    call.on("status", ({ code }) => resolve({ echoes, code }));
    call.write(Buffer.from("0"));
  });
}

/** Leaves a stream after its first message. */
function leaveDown() {
  return new Promise((resolve) => {
    const call = client.Down(downRequest(1_000, 100_000));
    call.once("data", () => call.cancel());
    call.on("error", (error) => resolve(error.code));
  });
}

const found = {};
const hello = Buffer.from("hello");
found.unary = String(await unary("Unary", hello));
found.empty = (await unary("Unary", Buffer.alloc(0))).length;

const metadata = new Metadata();
metadata.set("x-text", "one, two");
metadata.set("x-bytes-bin", Buffer.from([0, 255, 10]));
metadata.set("containerd-namespace", "test");
const seen = JSON.parse(String(await unary("Metadata", hello, metadata)));
found.metadata = [seen["x-text"], seen["x-bytes-bin"], seen["containerd-namespace"]];

found.failure = await unary("Fail", Buffer.from('NotFound image "schön\n100%"'));
found.missing = await unary("Missing", hello);
found.late = (await unary("Hang", hello, metadata, { deadline: Date.now() + 100 })).code;
found.cancelled = (await unary("Hang", hello, metadata, {}, (call) => setTimeout(() => call.cancel(), 50))).code;

const down = await collected(client.Down(downRequest(200, 3_000)));
found.down = [down.messages.length, down.messages.every(({ length }) => length === 3_000), down.code];
found.left = await leaveDown();
found.up = await up(50, 10_000);
found.pingPong = await pingPong(20);

const large = Buffer.alloc(8 << 20, 0x5a);
large[large.length - 1] = 1;
found.large = large.equals(await unary("Unary", large));
const largeDown = await collected(client.Down(downRequest(2, 8 << 20)));
found.largeDown = [largeDown.messages.map(({ length }) => length), largeDown.code];

const many = await Promise.all(Array.from({ length: 300 }, (_, n) => unary("Unary", Buffer.from(String(n)))));
found.many = many.every((answer, n) => String(answer) === String(n));

console.log(JSON.stringify(found));
client.close();
