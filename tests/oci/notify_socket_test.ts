/**
 * `$NOTIFY_SOCKET` of the runtime's caller: the service manager learns when the container is ready.
 *
 * @module
 */
import assert from "node:assert/strict";
import { flags } from "../../ffi/constants.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { unixAddress } from "../../ffi/stream_socket_address.ts";
import { attempt, call } from "../../ffi/syscall.ts";
import { type Bundle, runtimeTest } from "../bundle.ts";
import { execute, succeed } from "../command.ts";
import { patientEnd } from "../patience.ts";

const waitMsMax = 30_000;
/** Sends each of its arguments to the container's own socket, as one message; perl-base is on every Debian. */
const say = "say() { perl -MSocket -e 'socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; " +
  'for (@ARGV) { defined(send(S, $_, 0, pack_sockaddr_un($ENV{NOTIFY_SOCKET}))) or die "send: $!" }\' -- "$@"; }; ';

/** The service manager. */
class Manager implements Disposable {
  readonly #socket = new Descriptor(call("socket", flags("AF_UNIX"), flags("SOCK_DGRAM", "SOCK_CLOEXEC"), 0));

  constructor(readonly name: string) {
    const address = unixAddress(name);
    call("bind", this.#socket.number, address, address.length);
  }

  /** The variable for the runtime. */
  get env(): Record<string, string> {
    return { NOTIFY_SOCKET: this.name };
  }

  /** What has come so far. */
  heard(): string[] {
    const texts: string[] = [];
    const buffer = new Uint8Array(8192);
    for (;;) {
      const length = attempt("recvfrom", this.#socket.number, buffer, buffer.length, 0x40, /* MSG_DONTWAIT */ 0, 0);
      if (length < 0) return texts;
      texts.push(new TextDecoder().decode(buffer.subarray(0, length)));
    }
  }

  /** Waits for two messages, that the container is ready and which process is the service's. */
  async hearsReady(): Promise<number> {
    const texts: string[] = [];
    for (const end = patientEnd(waitMsMax); texts.length < 2; texts.push(...this.heard())) {
      assert.ok(performance.now() < end, `heard only ${JSON.stringify(texts)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(texts[0], "READY=1\n");
    const pid = /^MAINPID=([0-9]+)\n$/.exec(texts[1]!)?.[1];
    assert.ok(pid !== undefined && texts.length === 2, JSON.stringify(texts));
    return Number(pid);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** Gives the container the host's perl, and a command in which `say` is known. */
async function talks(bundle: Bundle, script: string): Promise<void> {
  await bundle.command("sh", "-c", say + script);
  await bundle.edit((spec) => {
    for (const directory of ["/usr", "/lib", "/lib64"]) {
      if (!isDirectory(directory)) continue;
      spec.mounts.push({ destination: directory, source: Deno.realPathSync(directory), options: ["rbind", "ro"] });
    }
    spec.process.env = [...spec.process.env ?? [], "NOTIFY_SOCKET=/of/the/config"];
  });
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

const detached = ["sh", "-c", 'umask ${UMASK:-022}; exec "$@" </dev/null >/dev/null 2>&1', "sh"];
const programs = ["perl"];

for (const isUser of [false, true]) {
  const where = isUser ? " in a user namespace" : "";
  runtimeTest(
    `start returns when the container${where} is ready, and tells its manager`,
    async (bundle, runtime, scratch) => {
      using manager = new Manager(isUser ? `@${scratch.path}/manager` : `${scratch.path}/manager`);
      const id = scratch.id("c");
      // Nothing but the one line reaches the manager.
      await talks(
        bundle,
        'set -e; say garbage WATCHDOG=1 ""; while ! test -e /tmp/go; do sleep 0.05; done; ' +
          'say "READY=1\nSTATUS=fine"; exec sleep 1000',
      );
      await Deno.chmod(`${bundle.rootfs}/tmp`, 0o777);
      if (isUser) {
        await bundle.edit((spec) => {
          spec.linux.namespaces = [...spec.linux.namespaces ?? [], { type: "user" }];
          const mapping = { containerID: 0, hostID: 200_000, size: 65_536 };
          Object.assign(spec.linux, { uidMappings: [mapping], gidMappings: [mapping] });
        });
        await succeed(["chown", "-hR", "200000:200000", bundle.rootfs]);
      }
      // A caller that closes what it makes: runc does not look at that.
      await succeed([...detached, ...runtime.command("create", "--bundle", bundle.path, id)], {
        env: { ...manager.env, ...isUser && runtime.name === "barge" ? { UMASK: "077" } : {} },
      });
      const { pid } = (await runtime.state(id))!;
      const starting = runtime.spawn(["start", id], { env: manager.env });
      await runtime.reaches(id, "running");
      assert.deepEqual(manager.heard(), []);
      await Deno.writeTextFile(`${bundle.rootfs}/tmp/go`, "");
      const started = await starting.finished;
      assert.equal(started.code, 0, started.stderr);
      assert.equal(await manager.hearsReady(), pid);
      await runtime.succeed(["delete", "--force", id]);
    },
    { programs },
  );
}

runtimeTest("start returns also when the container ends without a word", async (bundle, runtime, scratch) => {
  using manager = new Manager(`${scratch.path}/manager`);
  const id = scratch.id("c");
  await bundle.command("sh", "-c", 'test "$NOTIFY_SOCKET" = /run/notify/notify.sock && test -S $NOTIFY_SOCKET; exit 3');
  await succeed([...detached, ...runtime.command("create", "--bundle", bundle.path, id)], { env: manager.env });
  const { code, stderr } = await runtime.execute(["start", id], { env: manager.env });
  assert.equal(code, 0, stderr);
  assert.deepEqual(manager.heard(), []);
  await runtime.reaches(id, "stopped");
  await runtime.succeed(["delete", id]);
}, { programs });

runtimeTest("run --detach returns when the container is ready", async (bundle, runtime, scratch) => {
  using manager = new Manager(`${scratch.path}/manager`);
  const id = scratch.id("c");
  await talks(bundle, "say READY=1; exec sleep 1000");
  await succeed([...detached, ...runtime.command("run", "--detach", "--bundle", bundle.path, id)], {
    env: manager.env,
  });
  assert.equal(await manager.hearsReady(), (await runtime.state(id))!.pid);
  await runtime.succeed(["delete", "--force", id]);
}, { programs });

runtimeTest("run in the foreground tells of itself, and gives the exit code", async (bundle, runtime, scratch) => {
  using manager = new Manager(`${scratch.path}/manager`);
  await talks(bundle, "say READY=1; exit 5");
  const command = runtime.command("run", "--bundle", bundle.path, scratch.id("c"));
  // Its own process id before it becomes the runtime.
  const { code, stdout, stderr } = await execute(["sh", "-c", 'echo $$; exec "$@"', "sh", ...command], {
    env: manager.env,
  });
  assert.equal(code, 5, stderr);
  assert.equal(await manager.hearsReady(), Number(stdout));
}, { programs });

// Here runc waits for ever, and minds no signal.
runtimeTest("run in the foreground ends with a container that is never ready", async (bundle, runtime, scratch) => {
  using manager = new Manager(`${scratch.path}/manager`);
  await talks(bundle, 'for i in 1 2 3 4 5; do say "$(seq 1 900)" x y z "STATUS=READY=1"; done; exit 6');
  const id = scratch.id("c");
  const { code, stderr } = await runtime.execute(["run", "--bundle", bundle.path, id], { env: manager.env });
  assert.equal(code, 6, stderr);
  assert.deepEqual(manager.heard(), []);
}, { programs, only: "barge" });

runtimeTest("a manager that is gone is an error of start", async (bundle, runtime, scratch) => {
  const env = { NOTIFY_SOCKET: `${scratch.path}/nobody` };
  const id = scratch.id("c");
  await talks(bundle, "say READY=1; exec sleep 1000");
  await succeed([...detached, ...runtime.command("create", "--bundle", bundle.path, id)], { env });
  const { code, stderr } = await runtime.execute(["start", id], { env });
  assert.equal(code, 1);
  assert.match(stderr, /nobody/);
  await runtime.succeed(["delete", "--force", id]);
}, { programs });
