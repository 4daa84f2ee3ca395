import { deepEqual, equal, throws } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { concat } from "./archive_fixture.ts";
import { type TarEntry, TarReader } from "./tar_reader.ts";
import { archiveEnd, type EntryHeader, headerBytes } from "./tar_writer.ts";

const base: EntryHeader = {
  type: "directory",
  name: "d/",
  linkName: "",
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 1_700_000_000,
  major: 0,
  minor: 0,
};

function read(...headers: EntryHeader[]): TarEntry[] {
  const entries: TarEntry[] = [];
  const reader = new TarReader({ entry: (entry) => void entries.push(entry), data: () => {}, end: () => {} });
  reader.push(concat(...headers.map(headerBytes), archiveEnd()));
  reader.end();
  return entries;
}

Deno.test("headerBytes() writes what TarReader reads, whatever the names and numbers are", () => {
  const long = "l".repeat(90);
  const names = [
    "a",
    "ü/ö",
    `${long}/${long}`,
    `${long}/${long}/${long}`,
    "x".repeat(101),
    "\udcff\udcfe",
    "a\nb",
    "-",
  ];
  const headers = names.flatMap((name): EntryHeader[] => [
    { ...base, type: "symlink", name, linkName: names.join("/") },
    { ...base, type: "link", name, linkName: name, uid: 3_000_000, gid: 2 ** 31, mtime: -5 },
    { ...base, type: "char", name, major: 300, minor: 70_000, mtime: 2 ** 40 },
    { ...base, name: `${name}/`, mode: 0o7777 },
  ]);
  for (const [index, entry] of read(...headers).entries()) {
    const { name, linkName, mode, uid, gid, mtime, major, minor } = headers[index]!;
    const { name: n, linkName: l, mode: m, uid: u, gid: g, mtime: t, major: a, minor: i } = entry;
    deepEqual([n, l, m, u, g, t.seconds, a, i], [name, linkName, mode, uid, gid, mtime, major, minor]);
  }
});

Deno.test("headerBytes() keeps records of any bytes, and their lengths right at each boundary", () => {
  for (const size of [0, 1, 50, 60, 61, 62, 63, 64, 65, 66, 950, 959, 960, 961, 962, 970]) {
    const value = new Uint8Array(size).fill(10);
    const [entry] = read({ ...base, records: new Map([["SCHILY.xattr.user.x", value]]) });
    deepEqual(entry!.xattrs.map((xattr) => [xattr.name, xattr.value.length]), [["user.x", size]]);
  }
});

Deno.test("headerBytes() refuses device numbers that tar cannot hold", () => {
  throws(
    () => headerBytes({ ...base, type: "block", major: 1, minor: 8 ** 7 }),
    (e) => isFailure(e, "InvalidArgument"),
  );
  equal(headerBytes({ ...base, type: "block", major: 1, minor: 8 ** 7 - 1 }).length, 512);
});
