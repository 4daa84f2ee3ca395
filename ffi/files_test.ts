import assert from "node:assert/strict";
import { openFile } from "./descriptor.ts";
import { SyscallError } from "./errno.ts";
import { flags } from "./constants.ts";
import {
  allocate,
  changeModeAt,
  changeOwnerAt,
  closeFile,
  linkAt,
  listDirectory,
  makeDirectoryAt,
  makeNodeAt,
  nextData,
  openAt,
  openBeneath,
  readAt,
  readLinkAt,
  removeDirectoryAt,
  renameAt,
  S_IFDIR,
  S_IFLNK,
  setTimes,
  setTimesAt,
  statAt,
  statAtIfThere,
  symlinkAt,
  syncFile,
  syncFileSystem,
  truncateFile,
  tryLock,
  unlinkAt,
  writeAt,
} from "./files.ts";
import { getXattrAt, listXattrsAt, setXattr, setXattrAt } from "./xattr.ts";

const readWrite = flags("O_RDWR", "O_CREAT");

/** A fresh directory, open, and gone afterwards. */
function inDirectory(body: (dir: number, path: string) => void): void {
  const path = Deno.makeTempDirSync({ prefix: "barge-files-" });
  try {
    using dir = openFile(path, flags("O_RDONLY", "O_DIRECTORY"));
    body(dir.number, path);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

const fails = (code: string) => (error: unknown) => error instanceof SyscallError && error.code === code;

Deno.test("files: statAt() sees what the other calls made, as Deno does", () =>
  inDirectory((dir, path) => {
    makeDirectoryAt(dir, "d", 0o700);
    const file = openAt(dir, "d/f", readWrite, 0o600);
    writeAt(file, new TextEncoder().encode("hello"), 3);
    linkAt(dir, "d/f", dir, "l");
    symlinkAt("d/f", dir, "s");
    setTimesAt(dir, "l", { seconds: 5, nanos: 6 }, { seconds: 7_000_000_000, nanos: 8 });
    const status = statAt(dir, "l");
    const wanted = Deno.statSync(`${path}/d/f`);
    assert.deepEqual([status.size, status.links, status.mode & 0o7777], [8, 2, 0o600]);
    assert.deepEqual([Number(status.inode), status.uid, status.gid], [wanted.ino, wanted.uid, wanted.gid]);
    assert.deepEqual([status.atime, status.mtime], [{ seconds: 5, nanos: 6 }, { seconds: 7_000_000_000, nanos: 8 }]);
    assert.equal(status.device.major * 256 + status.device.minor, wanted.dev, "a small device number");
    assert.equal(statAt(dir, "s").mode & 0o170000, S_IFLNK);
    assert.equal(statAt(dir, "d").mode & 0o170000, S_IFDIR);
    assert.deepEqual([readLinkAt(dir, "s"), readLinkAt(dir, "d")], ["d/f", undefined]);
    setTimes(file, { seconds: 1, nanos: 2 }, { seconds: 3, nanos: 4 });
    assert.deepEqual(statAt(file, "").mtime, { seconds: 3, nanos: 4 });
    closeFile(file);
    changeModeAt(dir, "l", 0o4711);
    assert.equal(statAt(dir, "d/f").mode & 0o7777, 0o4711);
    changeOwnerAt(dir, "s", Deno.uid()!, Deno.gid()!);
    renameAt(dir, "d/f", dir, "g");
    removeDirectoryAt(dir, "d");
    unlinkAt(dir, "g");
    using listed = openFile(path, 0);
    assert.deepEqual(listDirectory(listed.number).sort(), ["l", "s"]);
    assert.equal(statAtIfThere(dir, "g"), undefined);
    assert.throws(() => statAt(dir, "g"), fails("ENOENT"));
  }));

Deno.test("files: openBeneath() follows no link and leaves its directory by no path", () =>
  inDirectory((dir) => {
    makeDirectoryAt(dir, "d", 0o700);
    symlinkAt("d", dir, "s");
    symlinkAt("/", dir, "abs");
    closeFile(openBeneath(dir, "d", flags("O_PATH")));
    closeFile(openBeneath(dir, "", flags("O_PATH", "O_DIRECTORY")));
    for (const path of ["s", "s/x", "abs/etc"]) {
      assert.throws(() => openBeneath(dir, path, flags("O_PATH")), fails("ELOOP"));
    }
    for (const path of ["..", "d/../..", "/etc"]) {
      assert.throws(() => openBeneath(dir, path, flags("O_PATH")), fails("EXDEV"));
    }
  }));

Deno.test("files: readAt(), writeAt(), truncateFile(), allocate() and nextData() agree about holes", () =>
  inDirectory((dir) => {
    const file = openAt(dir, "f", readWrite, 0o600);
    try {
      writeAt(file, new Uint8Array(4096).fill(1), 1 << 20);
      truncateFile(file, 4 << 20);
      const data = nextData(file, 0);
      assert.ok(data !== undefined && data.start <= 1 << 20 && data.end >= (1 << 20) + 4096, JSON.stringify(data));
      assert.equal(nextData(file, 3 << 20), undefined);
      const buffer = new Uint8Array(10);
      assert.equal(readAt(file, buffer, (4 << 20) - 4), 4);
      assert.equal(readAt(file, buffer, 1 << 20), 10);
      assert.deepEqual(buffer, new Uint8Array(10).fill(1));
      if (allocate(file, 0, 8 << 20)) assert.equal(statAt(file, "").size, 8 << 20);
      syncFile(file);
      syncFileSystem(file);
    } finally {
      closeFile(file);
    }
  }));

Deno.test("files: tryLock() tells whether somebody else holds the lock", () =>
  inDirectory((dir) => {
    const [one, two] = [openAt(dir, "f", readWrite, 0o600), openAt(dir, "f", readWrite, 0o600)];
    try {
      assert.deepEqual([tryLock(one, "LOCK_EX"), tryLock(two, "LOCK_SH")], [true, false]);
      assert.deepEqual([tryLock(one, "LOCK_UN"), tryLock(two, "LOCK_SH")], [true, true]);
    } finally {
      closeFile(one);
      closeFile(two);
    }
  }));

Deno.test("files: listDirectory() gives every name of a large directory", () =>
  inDirectory((dir) => {
    const wanted = Array.from({ length: 2000 }, (_, index) => `name-${"x".repeat(index % 50)}-${index}`);
    for (const name of wanted) makeNodeAt(dir, name, flags("S_IFREG") | 0o600);
    const fd = openAt(dir, ".", flags("O_RDONLY", "O_DIRECTORY"));
    assert.deepEqual(listDirectory(fd).sort(), wanted.sort());
    closeFile(fd);
  }));

Deno.test("files: names that are not UTF-8 come back as they were", () =>
  inDirectory((dir, path) => {
    makeDirectoryAt(dir, "caf\udce9", 0o700);
    symlinkAt("to-\udcff", dir, "é");
    const fd = openAt(dir, ".", flags("O_RDONLY", "O_DIRECTORY"));
    assert.deepEqual(listDirectory(fd).sort(), ["caf\udce9", "é"]);
    closeFile(fd);
    assert.equal(readLinkAt(dir, "é"), "to-\udcff");
    assert.throws(() => statAt(dir, "a\0b"), TypeError);
    removeDirectoryAt(dir, "caf\udce9");
    assert.deepEqual([...Deno.readDirSync(path)].map(({ name }) => name), ["é"]);
  }));

Deno.test("xattr: attributes are set, listed and read, empty ones too", () =>
  inDirectory((dir) => {
    const file = openAt(dir, "f", readWrite, 0o600);
    setXattr(file, "user.one", new Uint8Array([1, 0, 2]));
    closeFile(file);
    setXattrAt(dir, "f", "user.empty", new Uint8Array(0));
    assert.deepEqual(listXattrsAt(dir, "f").filter((name) => name.startsWith("user.")).sort(), [
      "user.empty",
      "user.one",
    ]);
    assert.deepEqual(getXattrAt(dir, "f", "user.one"), new Uint8Array([1, 0, 2]));
    assert.deepEqual(getXattrAt(dir, "f", "user.empty"), new Uint8Array(0));
    assert.equal(getXattrAt(dir, "f", "user.none"), undefined);
    assert.throws(() => getXattrAt(dir, "none", "user.one"), fails("ENOENT"));
  }));

const canMakeDevices = Deno.uid() === 0;
Deno.test({
  name: `files: makeNodeAt() keeps large device numbers${canMakeDevices ? "" : " (skipped: not root)"}`,
  ignore: !canMakeDevices,
  fn: () =>
    inDirectory((dir) => {
      for (const [major, minor] of [[1, 3], [4095, 1048575], [259, 70000]] as const) {
        makeNodeAt(dir, `n${major}`, flags("S_IFBLK") | 0o600, major, minor);
        const status = statAt(dir, `n${major}`);
        assert.deepEqual([status.major, status.minor], [major, minor]);
      }
    }),
});
