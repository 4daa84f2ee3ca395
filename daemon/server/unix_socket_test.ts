import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { bindAt, clearSocketPlace } from "./unix_socket.ts";

const own = { uid: Deno.uid() ?? 0, gid: Deno.gid() ?? 0 };

async function inTempDir(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const listen = (path: string) => Deno.listen({ transport: "unix", path });
const modeOf = (path: string) => Deno.lstatSync(path).mode! & 0o7777;

Deno.test("bindAt() makes a socket of mode 0660 whatever the umask, in a directory of 0770 that was missing", () =>
  inTempDir(async (directory) => {
    const umask = Deno.umask(0o027);
    try {
      const place = { path: `${directory}/deep/er/s.sock`, ...own };
      await clearSocketPlace(place);
      using _listener = bindAt(place, listen);
      assert.equal(modeOf(place.path), 0o660);
      assert.equal(modeOf(`${directory}/deep/er`), 0o770);
      assert.equal(Deno.umask(), 0o027);
    } finally {
      Deno.umask(umask);
    }
  }));

Deno.test({
  name: "bindAt() gives the socket to its owner (needs root)",
  ignore: Deno.uid() !== 0,
  fn: () =>
    inTempDir(async (directory) => {
      const place = { path: `${directory}/new/s.sock`, uid: 1234, gid: 4321 };
      await clearSocketPlace(place);
      using _listener = bindAt(place, listen);
      for (const path of [place.path, `${directory}/new`]) {
        const { uid, gid } = Deno.lstatSync(path);
        assert.deepEqual([uid, gid], [1234, 4321]);
      }
    }),
});

Deno.test("clearSocketPlace() removes what a killed process left, and nothing else", () =>
  inTempDir(async (directory) => {
    const place = { path: `${directory}/s.sock`, ...own };
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `Deno.listen({ transport: "unix", path: ${JSON.stringify(place.path)} }); console.log(1); ` +
        `setInterval(() => {}, 1000)`,
      ],
      stdout: "piped",
      stdin: "null",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    const refuses = (text: RegExp) => (error: unknown) =>
      error instanceof Failure && error.code === "FailedPrecondition" && text.test(error.message);
    await assert.rejects(clearSocketPlace(place), refuses(/another process answers there/));
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    assert.equal(Deno.lstatSync(place.path).isSocket, true);
    await clearSocketPlace(place);
    assert.throws(() => Deno.lstatSync(place.path), Deno.errors.NotFound);
    await Deno.writeTextFile(place.path, "precious");
    await assert.rejects(clearSocketPlace(place), refuses(/something else than a socket/));
    assert.equal(await Deno.readTextFile(place.path), "precious");
  }));

Deno.test("clearSocketPlace() refuses a path of more than 104 bytes in containerd's words", async () => {
  const path = "/" + "x".repeat(104);
  await assert.rejects(clearSocketPlace({ path, ...own }), {
    message: `"${path}": unix socket path too long (> 104)`,
  });
  await assert.rejects(clearSocketPlace({ path: "relative", ...own }), /absolute/);
});
