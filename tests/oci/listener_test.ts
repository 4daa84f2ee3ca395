/**
 * A seccomp filter whose questions a process outside of the container answers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { flags } from "../../ffi/constants.ts";
import { Descriptor, waitInPlace } from "../../ffi/descriptor.ts";
import { receiveDescriptor } from "../../ffi/socket.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { listenStream } from "../../ffi/stream_listener.ts";
import { call } from "../../ffi/syscall.ts";
import { type Bundle, runtimeTest } from "../bundle.ts";
import { patient } from "../patience.ts";

/** How long the runtime may take to come to the listener, and a container to ask. */
const waitMsMax = 30_000;
/** SECCOMP_IOCTL_NOTIF_RECV and SECCOMP_IOCTL_NOTIF_SEND (linux/seccomp.h). */
const [receive, send] = [0xc050_2100, 0xc018_2101];
const enospc = 28;

/** What the runtime says with the descriptor. */
interface Told {
  readonly fds: string[];
  readonly pid: number;
  readonly metadata?: string;
  readonly state: { readonly id: string; readonly status: string; readonly pid: number; readonly bundle: string };
}

/** The next filter that a runtime brings. */
function nextFilter(listener: number): { told: Told; filter: Descriptor } {
  assert.ok(waitInPlace(listener, waitMsMax), "no runtime comes");
  using socket = new Descriptor(call("accept4", listener, 0, 0, flags("SOCK_CLOEXEC")));
  const text = new Uint8Array(4096);
  assert.ok(waitInPlace(socket.number, waitMsMax), "the runtime sends nothing");
  const length = call("recvfrom", socket.number, text, text.length, 2, /* MSG_PEEK */ 0, 0);
  const filter = receiveDescriptor(socket.number);
  assert.ok(filter !== undefined, "no descriptor came");
  return { told: JSON.parse(new TextDecoder().decode(text.subarray(0, length))), filter };
}

/** Answers one question with an error of the kernel's. */
function refuseNext(filter: number, errno: number): void {
  assert.ok(waitInPlace(filter, waitMsMax), "nobody asks");
  const question = new Uint8Array(80);
  call("ioctl", filter, receive, question);
  const answer = new Uint8Array(24);
  answer.set(question.subarray(0, 8));
  new DataView(answer.buffer).setInt32(16, -errno, true);
  call("ioctl", filter, send, answer);
}

/** Has the container ask before it makes a directory. */
async function askForDirectories(bundle: Bundle, listenerPath: string, noNewPrivileges: boolean): Promise<void> {
  await bundle.edit((spec) => {
    spec.process.noNewPrivileges = noNewPrivileges;
    spec.linux.seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      listenerPath,
      listenerMetadata: "of the test",
      syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY" }],
    };
  });
}

for (const noNewPrivileges of [true, false]) {
  const how = noNewPrivileges ? "with no_new_privs" : "without no_new_privs";
  runtimeTest(`a listener answers for the container and for exec, ${how}`, async (bundle, runtime, scratch) => {
    const path = `${scratch.path}/agent`;
    using reactor = new Reactor();
    using listener = listenStream(reactor, path);
    await askForDirectories(bundle, path, noNewPrivileges);
    await bundle.command("sh", "-c", "mkdir /made; echo $?; exec sleep 100");
    const id = scratch.id("c");
    const created = runtime.detached(`${scratch.path}/out`, ["create", "--bundle", bundle.path, id]);
    const { told, filter } = nextFilter(listener.number);
    using _filter = filter;
    const { code, stderr } = await created;
    assert.equal(code, 0, stderr);
    const { pid } = (await runtime.state(id))!;
    assert.deepEqual([told.fds, told.metadata, told.state.id, told.state.bundle], [
      ["seccompFd"],
      "of the test",
      id,
      bundle.path,
    ]);
    assert.deepEqual([told.pid, told.state.pid, told.state.status], [pid, pid, "creating"]);
    await runtime.succeed(["start", id]);
    refuseNext(filter.number, enospc);
    const output = () => Deno.readTextFile(`${scratch.path}/out`);
    for (let tries = 0; !(await output()).endsWith("1\n") && tries < patient(500); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.match(await output(), /No space left on device\n1\n$/);
    const exec = runtime.spawn(["exec", id, "mkdir", "/other"]);
    const other = nextFilter(listener.number);
    using _other = other.filter;
    assert.deepEqual([other.told.state.pid, other.told.state.status], [pid, "running"]);
    assert.notEqual(other.told.pid, pid);
    refuseNext(other.filter.number, enospc);
    const finished = await exec.finished;
    assert.deepEqual([finished.code, /No space left on device/.test(finished.stderr)], [1, true], finished.stderr);
    await runtime.succeed(["delete", "--force", id]);
  });
}

runtimeTest("create fails where nobody listens for the filter", async (bundle, runtime, scratch) => {
  await askForDirectories(bundle, `${scratch.path}/nobody`, false);
  const id = scratch.id("c");
  const { code, stderr } = await runtime.detached(`${scratch.path}/out`, ["create", "--bundle", bundle.path, id]);
  assert.equal(code, 1);
  assert.match(stderr, /connect.*nobody.*no such file or directory/i);
  assert.equal(await runtime.state(id), undefined);
});
