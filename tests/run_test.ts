/**
 * `barge run` on real images: where they come from, what their files are, and how a run begins and ends.
 *
 * @module
 */
import assert from "node:assert/strict";
import { viewImage } from "../daemon/images/image_view.ts";
import { hostPlatform } from "../daemon/sources/platform.ts";
import { openStore } from "../daemon/store.ts";
import { barge, execute, Running, succeed, systemTest } from "./command.ts";
import { makeRootfs } from "./bundle.ts";
import {
  architecture,
  assertSameTrees,
  BargeRun,
  debianArchive,
  runTest,
  scanTree,
  writeBusyboxLayout,
  writeDebianLayout,
} from "./images.ts";
import { startRegistry, tarOf, writeLayout } from "./registry.ts";
import { makeScratch, type Scratch } from "./scratch.ts";
import { patient } from "./patience.ts";

runTest("barge run hello shows a container from inside", [], async (run) => {
  const text = await run.succeed(["--hostname", "inside", "hello"]);
  assert.match(text, /inside/);
  assert.match(text, /\b1\b/);
  const own = Deno.readLinkSync("/proc/self/ns/pid");
  assert(!text.includes(own), "the program sees the host's pid namespace");
});

runTest(
  "barge run takes an image from a layout, and its command, environment and directory",
  [],
  async (run, image) => {
    assert.equal(await run.succeed([image]), "default command\n");
    assert.equal(await run.succeed([image, "sh", "-c", "echo $FROM_IMAGE; pwd"]), "yes\n/root\n");
  },
);

runTest("barge run notices that a layout's tag means another image now", [], async (run, image, scratch) => {
  await run.succeed(["--quiet", image, "true"]);
  const layout = image.slice("oci:".length, -":latest".length);
  await Deno.remove(layout, { recursive: true });
  const tree = `${scratch.path}/other`;
  await Deno.mkdir(`${tree}/bin`, { recursive: true });
  await Deno.copyFile("/usr/bin/busybox", `${tree}/bin/cat`);
  await Deno.writeTextFile(`${tree}/new`, "new image\n");
  await writeLayout(layout, [await tarOf(tree)], { run: { Env: ["PATH=/bin"] } });
  assert.equal(await run.succeed(["--quiet", image, "cat", "/new"]), "new image\n");
});

runTest("barge run takes images from OCI and docker archives", ["skopeo"], async (run, image, scratch) => {
  for (const [name, target] of [["oci.tar", "oci-archive"], ["docker.tar", "docker-archive"]] as const) {
    const archive = `${scratch.path}/${name}`;
    await succeed([
      ...["skopeo", "--insecure-policy", "copy", "--quiet", image],
      `${target}:${archive}:${target === "docker-archive" ? "name:latest" : "latest"}`,
    ]);
    assert.equal(await run.succeed(["--quiet", `tar:${archive}`, "echo", name]), `${name}\n`);
  }
});

runTest("barge run pulls from a registry, once", ["docker-registry", "skopeo"], async (run, image) => {
  const registry = await startRegistry();
  let name: string;
  try {
    await registry.push(image, "busybox:latest");
    name = `${registry.host}/busybox:latest`;
    const first = await run.execute(["--plain-http", name, "sh", "-c", "echo ran; exit 42"]);
    assert.deepEqual([first.code, first.stdout], [42, "ran\n"], first.stderr);
    assert.match(first.stderr, /resolved/, "a pull without a terminal prints plain lines");
    assert(!first.stderr.includes("\x1b"));
  } finally {
    await registry[Symbol.asyncDispose]();
  }
  // The registry is gone.
  const again = await run.execute(["--plain-http", name, "echo", "again"]);
  assert.deepEqual([again.code, again.stdout, again.stderr], [0, "again\n", ""]);
  assert.equal((await run.execute(["--plain-http", "--pull", "never", name, "true"])).code, 0);
  const always = await run.execute(["--plain-http", "--pull", "always", name, "true"]);
  assert.equal(always.code, 125);
  assert.match(always.stderr, new RegExp(name.replace(":latest", "")));
});

runTest(
  "barge run --rootfs runs in a directory, and leaves it as the container left it",
  [],
  async (run, image, scratch) => {
    const { makeRootfs } = await import("./bundle.ts");
    const rootfs = `${scratch.path}/rootfs`;
    await makeRootfs(rootfs);
    assert.equal(await run.succeed(["--rootfs", rootfs, "sh", "-c", "echo x > /made; cat /made"]), "x\n");
    assert.equal(await Deno.readTextFile(`${rootfs}/made`), "x\n");
    assert.match(image, /^oci:/);
  },
);

const debianTools = ["debootstrap", "umoci", "python3", "tar", "setfattr", "docker-registry", "skopeo"];

systemTest("a Debian of several layers has the very files that umoci unpacks, and runs", debianTools, async () => {
  const archive = await debianArchive();
  if (archive === undefined) return console.log("skipped: debootstrap found no mirror");
  await using scratch = await makeScratch();
  const run = new BargeRun(scratch);
  const layout = `${scratch.path}/debian`;
  await writeDebianLayout(layout, archive, scratch);
  await succeed(["umoci", "unpack", "--image", `${layout}:latest`, `${scratch.path}/umoci`]);
  const expected = await scanTree(`${scratch.path}/umoci/rootfs`);
  await using registry = await startRegistry();
  await registry.push(`oci:${layout}:latest`, "debian:latest");
  const name = `${registry.host}/debian:latest`;
  for (const snapshotter of ["overlayfs", "native"] as const) {
    const { code, stdout, stderr } = await run.execute([
      ...["--snapshotter", snapshotter, "--plain-http", "--quiet", name],
      ...["sh", "-c", "cat /etc/os-release; exit 42"],
    ]);
    assert.equal(code, 42, stderr);
    assert.match(stdout, /^ID=debian$[^]*^more$/m);
    assertSameTrees(await snapshotFiles(run, name, snapshotter), expected);
  }
  assert.match(await run.succeed([name, "perl", "-e", "print qq(perl $$\\n)"]), /^perl 1$/m);
  await scratch.assertNothingLeft();
});

/** What the image's files are, looked at through the snapshotter's own mounts. */
async function snapshotFiles(run: BargeRun, name: string, snapshotter: "overlayfs" | "native"): Promise<string[]> {
  using store = await openStore(run.root);
  const view = await viewImage(store, name, { platform: hostPlatform(), snapshotter });
  assert(view?.chainId !== undefined);
  const snapshots = store.snapshotter(snapshotter);
  const lease = await store.leases.own("test");
  const [mount] = await snapshots.view("scan", { parent: view.chainId, lease: lease.id });
  const target = await Deno.makeTempDir({ dir: run.scratch.path, prefix: "scan" });
  assert(mount !== undefined);
  try {
    if (mount.type === "bind") return await scanTree(mount.source);
    await succeed(["mount", "-t", mount.type, "-o", mount.options.join(","), "scan", target]);
    return await scanTree(target);
  } finally {
    await execute(["umount", target]);
    await snapshots.remove("scan");
    await lease.end();
  }
}

runTest("several images and runs share one root at the same time", [], async (run, image, scratch) => {
  const other = `${scratch.path}/other`;
  await writeBusyboxLayout(other, scratch);
  const runs = Array.from({ length: 6 }, (_, index) => {
    const from = index % 2 === 0 ? image : `oci:${other}:latest`;
    return execute(run.command(`p${index}`, "--quiet", from, "sh", "-c", `echo ${index} > /f; sleep 0.1; cat /f`));
  });
  const results = await Promise.all(runs);
  results.forEach(({ code, stdout, stderr }, index) => assert.deepEqual([code, stdout], [0, `${index}\n`], stderr));
});

runTest("what a container writes is gone after it, and stays with --keep", [], async (run, image, scratch) => {
  await run.succeed(["--quiet", image, "touch", "/mark"]);
  assert.equal(await run.succeed([image, "sh", "-c", "ls /mark 2>/dev/null || echo gone"]), "gone\n");
  const before = await run.storeFiles();
  await run.succeed([image, "true"]);
  assert.deepEqual(await run.storeFiles(), before);
  assert.equal((await execute(run.command("kept", "--keep", image, "sh", "-c", "echo kept > /mark"))).code, 0);
  const marks = await succeed(["find", run.root, "-name", "mark"]);
  assert.equal(marks.trim().split("\n").length, 1);
  const again = await execute(run.command("kept", image, "true"));
  assert.equal(again.code, 125);
  assert.match(again.stderr, /kept/);
  await Deno.remove(`${run.state}/bundles/${scratch.id("kept")}`, { recursive: true });
});

/** How a run's end becomes an exit code. */
const endings: [what: string, command: string[], code: number, says: RegExp][] = [
  ["the program's code", ["sh", "-c", "exit 3"], 3, /^$/],
  [
    "127 for a program that is not in PATH",
    ["no-such-program"],
    127,
    /"no-such-program": executable file not found in \$PATH/,
  ],
  ["127 for a path that does not exist", ["/no/such/program"], 127, /\/no\/such\/program.*no such file or directory/],
  ["126 for a file that is not executable", ["/etc/passwd"], 126, /\/etc\/passwd.*permission denied/],
  ["126 for a directory", ["/etc"], 126, /\/etc.*(permission denied|directory)/],
];

for (const [what, command, code, says] of endings) {
  runTest(`barge run gives ${what}`, [], async (run, image) => {
    const ended = await run.execute(["--quiet", image, ...command]);
    assert.equal(ended.code, code, ended.stderr);
    if (code > 3 && code < 128) {
      assert.match(ended.stderr, says);
      assert.equal(ended.stderr.trim().split("\n").length, 1, ended.stderr);
    }
  });
}

runTest("barge run gives 128+N where signal N ends the program", [], async (run, image, scratch) => {
  await using running = run.spawn(["--quiet", image, "sh", "-c", "echo ready; exec sleep 100"]);
  await running.says("ready");
  const init = scratch.processes().find((pid) => pid !== running.child.pid);
  assert(init !== undefined);
  Deno.kill(init, "SIGKILL");
  assert.equal((await running.finished).code, 137);
});

runTest("barge run says what keeps a file from being executed", [], async (run, image, scratch) => {
  await Deno.mkdir(`${scratch.path}/bin`);
  const at = (name: string) => `${scratch.path}/bin/${name}`;
  await Deno.copyFile("/bin/ls", at("dynamic"));
  await Deno.chmod(at("dynamic"), 0o755);
  await Deno.writeTextFile(at("script"), "#!/bin/sh\r\necho no\r\n", { mode: 0o755 });
  const foreign = await Deno.readFile("/usr/bin/busybox");
  foreign[18] = 0x16; // e_machine: s390
  await Deno.writeFile(at("foreign"), foreign, { mode: 0o755 });
  for (
    const [name, code, says] of [
      ["dynamic", 127, /loader/],
      ["script", 127, /carriage return/],
      ["foreign", 126, /exec format error.*a program for s390x/],
    ] as const
  ) {
    const { code: got, stderr } = await run.execute(["--quiet", "-v", `${scratch.path}/bin:/b`, image, `/b/${name}`]);
    assert.equal(got, code, stderr);
    assert.match(stderr, says);
    assert.equal(stderr.trim().split("\n").length, 1);
  }
});

runTest("barge run passes standard input on with -i only, and closes it when ours ends", [], async (run, image) => {
  const text = "line\n".repeat(30_000);
  assert.equal(await run.succeed(["-i", "--quiet", image, "wc", "-l"], { stdin: text }), "30000\n");
  assert.equal(await run.succeed(["--quiet", image, "wc", "-l"], { stdin: text }), "0\n");
  await using running = run.spawn(["-i", "--quiet", image, "sh", "-c", "echo ready; cat; echo end"], {
    keepInput: true,
  });
  await running.says("ready");
  const writer = running.child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("typed\n"));
  await running.says("typed");
  await writer.close();
  assert.deepEqual([(await running.finished).code, running.stdout], [0, "ready\ntyped\nend\n"]);
});

runTest("barge run passes large output on, to slow readers as well", [], async (run, image) => {
  const { stdout, stderr } = await run.execute(["--quiet", image, "sh", "-c", "seq 1 200000; echo end >&2"]);
  assert.equal(stdout.length, 1_288_895);
  assert.equal(stderr, "end\n");
  const cut = await succeed(["sh", "-c", '"$@" | head -1', "sh", ...run.command("cut", "--quiet", image, "yes")]);
  assert.equal(cut, "y\n");
});

runTest("barge run forwards signals to the program", [], async (run, image) => {
  for (
    const [signal, name] of [["SIGTERM", "TERM"], ["SIGINT", "INT"], ["SIGHUP", "HUP"], ["SIGUSR1", "USR1"]] as const
  ) {
    const script = `trap 'echo got; exit 7' ${name}; echo ready; while :; do sleep 0.02; done`;
    await using running = run.spawn(["--quiet", image, "sh", "-c", script]);
    await running.says("ready");
    running.kill(signal);
    const { code, stdout } = await running.finished;
    assert.deepEqual([code, stdout], [7, "ready\ngot\n"], name);
  }
});

const terminal = `
import os, pty, select, sys, fcntl, struct, termios, time
rows, columns, typed, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode().decode('unicode_escape').encode(), sys.argv[4:]
pid, fd = pty.fork()
if pid == 0: os.execvp(command[0], command)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
output = b''; sent = resized = False
while True:
    try: data = os.read(fd, 4096)
    except OSError: break
    if not data: break
    output += data
    if b'ready' in output and not sent:
        sent = True; os.write(fd, typed)
    if b'resize' in output and not resized:
        resized = True; fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows + 1, columns + 1, 0, 0))
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(output)
sys.exit(os.waitstatus_to_exitcode(status) % 256)
`;

runTest(
  "barge run -t -i gives the program a terminal of our size that follows ours",
  ["python3"],
  async (run, image) => {
    const script = "trap 'stty size; exit 5' WINCH; tty; test -t 0 && test -t 1 && test -t 2 && echo all; stty size; " +
      "echo ready; read line; echo line=$line; echo resize; while :; do sleep 0.02; done";
    const { code, stdout, stderr } = await execute([
      ...["python3", "-c", terminal, "33", "101", "typed\\r"],
      ...run.command("c", "-t", "-i", "--quiet", image, "sh", "-c", script),
    ]);
    assert.equal(code, 5, stdout + stderr);
    assert.match(stdout, /\/dev\/(pts\/0|console)\r\nall\r\n/);
    assert.match(stdout, /\r\n33 101\r\n/);
    assert.match(stdout, /line=typed\r\n[^]*34 102\r\n/);
  },
);

runTest("barge run -t -i passes control characters on", ["python3"], async (run, image) => {
  const script = "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.02; done";
  const { code, stdout } = await execute([
    ...["python3", "-c", terminal, "24", "80", "\\x03"],
    ...run.command("c", "-t", "-i", "--quiet", image, "sh", "-c", script),
  ]);
  assert.equal(code, 9, stdout);
  assert.match(stdout, /interrupted/);
});

runTest("barge run -t without -i needs no terminal of ours", [], async (run, image) => {
  const { code, stdout, stderr } = await run.execute(["-t", "--quiet", image, "sh", "-c", "test -t 1 && echo yes"]);
  assert.deepEqual([code, stdout], [0, "yes\r\n"], stderr);
});

systemTest("barge run works with an empty environment and without a working directory", ["busybox", "sh"], async () => {
  await using scratch = await makeScratch();
  const run = new BargeRun(scratch);
  const script = 'mkdir "$1" && cd "$1" && rmdir "$1" && shift && exec env -i "$@"';
  const [, ...words] = run.command("c", "hello");
  const { code, stdout, stderr } = await execute([
    ...["sh", "-c", script, "sh", `${scratch.path}/gone`, ...barge],
    ...words.slice(barge.length - 1),
  ]);
  assert.equal(code, 0, stderr);
  assert.notEqual(stdout, "");
  await scratch.assertNothingLeft();
});

runTest("barge run ends the container when it is killed itself", [], async (run, image, scratch) => {
  await using running = new Running(run.command("c", "--quiet", image, "sh", "-c", "echo ready; exec sleep 100"));
  await running.says("ready");
  running.kill("SIGKILL");
  await running.finished;
  for (let waitedMs = 0; scratch.processes().length > 0 && waitedMs < patient(5000); waitedMs += 20) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(scratch.processes(), []);
  // The next run removes what is left.
  assert.equal((await execute(run.command("next", image, "true"))).code, 0);
});

/** Writes another image whose config has these defaults, beside the test's own; gives its reference. */
async function imageWith(image: string, scratch: Scratch, run: Record<string, unknown>): Promise<string> {
  const layout = `${scratch.path}/with`;
  const tree = `${scratch.path}/tree-with`;
  await makeRootfs(tree);
  await Deno.mkdir(`${tree}/kept`);
  await Deno.writeTextFile(`${tree}/kept/file`, "of the image\n");
  await Deno.chown(`${tree}/kept`, 1, 50);
  await writeLayout(layout, [await tarOf(tree)], {
    architectures: [architecture],
    run: { Env: ["PATH=/bin"], ...run },
  });
  return `oci:${layout}:${image.slice(image.lastIndexOf(":") + 1)}`;
}

runTest("barge run takes null in an image's config for nothing", [], async (run, image, scratch) => {
  const nothing = { User: null, WorkingDir: null, StopSignal: null, Entrypoint: null, Volumes: null, Labels: null };
  const other = await imageWith(image, scratch, { ...nothing, Cmd: ["sh", "-c", "id -u; pwd"] });
  assert.equal(await run.succeed(["--quiet", other]), "0\n/\n");
});

runTest("barge run takes an empty word as entry point for none", [], async (run, image, scratch) => {
  const other = await imageWith(image, scratch, {
    Entrypoint: [""],
    Cmd: ["echo", "command"],
    WorkingDir: "/no/../new",
  });
  assert.equal(await run.succeed(["--quiet", other]), "command\n");
  assert.equal(await run.succeed(["--quiet", other, "pwd"]), "/new\n");
});

runTest("barge run makes an image's volumes, and lets them be written", [], async (run, image, scratch) => {
  const Volumes = { "/kept": {}, "/made/deep": {}, "/made/deep/deeper": {}, "/covered": {} };
  const other = await imageWith(image, scratch, { Volumes });
  const look = "ls -d /made/deep/deeper /covered; cat /kept/file; stat -c %u:%g:%a /kept /made/deep; ";
  const looks = "/covered\n/made/deep/deeper\nof the image\n1:50:755\n0:0:755\n";
  assert.equal(await run.succeed(["--quiet", other, "sh", "-c", look]), looks);
  const write =
    "for d in kept made/deep made/deep/deeper covered made .; do touch /$d/x 2>/dev/null && echo $d; done; true";
  for (const snapshotter of ["overlayfs", "native"]) {
    const flags = ["--quiet", "--snapshotter", snapshotter, "--read-only"];
    const written = await run.succeed([...flags, other, "sh", "-c", look + write]);
    assert.equal(written, looks + "kept\nmade/deep\nmade/deep/deeper\ncovered\n");
  }
  await Deno.mkdir(`${scratch.path}/host`);
  const mount = ["-v", `${scratch.path}/host:/covered:ro,z`];
  const written = await run.succeed(["--quiet", ...mount, "--read-only", other, "sh", "-c", write]);
  assert.equal(written, "kept\nmade/deep\nmade/deep/deeper\n");
});

runTest("barge run says that a name is taken", [], async (run, image, scratch) => {
  await run.succeed(["--quiet", "--keep", image, "true"]);
  const taken = `barge: container "${scratch.id("c")}" already exists: choose another name or remove it\n`;
  for (const words of [[image], ["--snapshotter", "native", image], ["--rootfs", "/"], ["hello"]]) {
    const { code, stderr } = await run.execute(["--quiet", ...words, "true"]);
    assert.deepEqual([code, stderr], [125, taken], words.join(" "));
  }
  await Deno.remove(`${run.state}/bundles/${scratch.id("c")}`, { recursive: true });
});

runTest(
  "barge run keeps its stores in directories with colons and blanks in their names",
  [],
  async (run, image, scratch) => {
    const odd = `${scratch.path}/a:b c`;
    const program = run.command("c")[0]!;
    const words = (...args: string[]) => [
      ...[program, "run", "--root", `${odd}/root`, "--state", `${odd}/state:`, "--name", scratch.id("c"), "--quiet"],
      ...args,
    ];
    for (const snapshotter of ["overlayfs", "native"]) {
      const flags = ["--snapshotter", snapshotter];
      assert.equal(await succeed(words(...flags, image, "sh", "-c", "echo here; touch /x")), "here\n");
    }
    const rootfs = `${odd}/fs: x`;
    await Deno.mkdir(rootfs);
    await makeRootfs(rootfs);
    assert.equal(await succeed(words("--rootfs", rootfs, "echo", "there")), "there\n");
    const { code, stderr } = await execute([program, "run", "--root", `${odd},x`, image, "true"]);
    assert.equal(code, 125);
    assert.match(stderr, /want an absolute path without comma, backslash and control characters/);
  },
);
