import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { archive, concat, endBlocks, entryBytes, type FixtureEntry, padded, paxBody } from "./archive_fixture.ts";
import { type TarEntry, TarReader, type TarSink } from "./tar_reader.ts";

interface Seen {
  entry: TarEntry;
  data: [number, string][];
  ended: boolean;
}

class Recorder implements TarSink {
  readonly seen: Seen[] = [];
  entry(entry: TarEntry): void {
    this.seen.push({ entry, data: [], ended: false });
  }
  data(bytes: Uint8Array, offset: number): void {
    this.seen.at(-1)!.data.push([offset, new TextDecoder().decode(bytes)]);
  }
  end(): void {
    this.seen.at(-1)!.ended = true;
  }
}

function read(bytes: Uint8Array, step = bytes.length || 1): Seen[] {
  const recorder = new Recorder();
  const reader = new TarReader(recorder);
  for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
  reader.end();
  return recorder.seen;
}

function one(entry: FixtureEntry): Seen {
  const seen = read(archive(entry));
  assert.equal(seen.length, 1);
  return seen[0]!;
}

function refuses(bytes: Uint8Array, code: "InvalidArgument" | "DataLoss", pattern: RegExp): void {
  assert.throws(() => read(bytes), (error: unknown) => {
    assert.ok(error instanceof Failure, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  });
}

Deno.test("TarReader gives name, contents and numbers of a ustar entry", () => {
  const { entry, data, ended } = one({
    name: "b",
    prefix: "a",
    mode: 0o4755,
    uid: 1,
    gid: 2,
    mtime: 3,
    data: "hello",
  });
  assert.deepEqual([entry.type, entry.name, entry.mode, entry.uid, entry.gid, entry.size], [
    "file",
    "a/b",
    0o4755,
    1,
    2,
    5,
  ]);
  assert.deepEqual([entry.mtime, data, ended], [{ seconds: 3, nanos: 0 }, [[0, "hello"]], true]);
});

Deno.test("TarReader gives the same entries however the bytes are cut", () => {
  const bytes = archive(
    { name: "d/", type: "5" },
    { name: "f", data: "x".repeat(1500), pax: { path: "long", "SCHILY.xattr.user.a": "b" } },
    { name: "l", type: "2", link: "t" },
  );
  const joined = (seen: Seen[]) => seen.map(({ entry, data }) => [entry, data.map(([, text]) => text).join("")]);
  const wanted = joined(read(bytes));
  for (const step of [1, 7, 511, 512, 513, 1000]) assert.deepEqual(joined(read(bytes, step)), wanted, `step ${step}`);
});

Deno.test("TarReader knows every type, and leaves unknown ones to the sink", () => {
  const types = { "0": "file", "\0": "file", "1": "link", "2": "symlink", "3": "char", "4": "block", "5": "directory" };
  for (const [type, wanted] of Object.entries({ ...types, "6": "fifo", "7": "unknown", "V": "unknown" })) {
    assert.equal(one({ name: "x", type }).entry.type, wanted);
  }
  assert.equal(one({ name: "x/", type: "\0", magic: "v7" }).entry.type, "directory");
  const device = one({ name: "x", type: "3", major: 5, minor: 300 }).entry;
  assert.deepEqual([device.major, device.minor], [5, 300]);
});

Deno.test("TarReader reads base-256 numbers, also negative ones", () => {
  const { entry } = one({
    name: "x",
    patch: (block) => {
      block.set([0x80, 0, 0, 0, 0xb2, 0xd0, 0x5e, 0], 108);
      block.fill(0xff, 136, 148);
    },
  });
  assert.equal(entry.uid, 3_000_000_000);
  assert.deepEqual(entry.mtime, { seconds: -1, nanos: 0 });
});

Deno.test("TarReader lets PAX records replace header fields", () => {
  const { entry } = one({
    name: "short",
    type: "1",
    pax: {
      path: "ü/long",
      linkpath: "target",
      uid: "4000000000",
      gid: "7",
      mtime: "12.0345",
      atime: "-1.25",
      comment: "ignored",
      "SCHILY.xattr.user.a": "1=2",
    },
  });
  assert.deepEqual([entry.name, entry.linkName, entry.uid, entry.gid], ["ü/long", "target", 4_000_000_000, 7]);
  assert.deepEqual(entry.mtime, { seconds: 12, nanos: 34_500_000 });
  assert.deepEqual(entry.atime, { seconds: -2, nanos: 750_000_000 });
  assert.deepEqual(entry.xattrs.map(({ name, value }) => [name, new TextDecoder().decode(value)]), [["user.a", "1=2"]]);
});

Deno.test("TarReader uses PAX records for one entry only, and skips global ones", () => {
  const seen = read(archive(
    { name: "g", type: "g", data: paxBody({ path: "global" }) },
    { name: "a", pax: { path: "renamed", size: "3" }, size: 0, data: "abc" },
    { name: "b", pax: [["path", "x"], ["path", ""]] },
  ));
  assert.deepEqual(seen.map(({ entry, data }) => [entry.name, data]), [["renamed", [[0, "abc"]]], ["b", []]]);
});

Deno.test("TarReader reads GNU long names and links", () => {
  const bytes = concat(
    entryBytes({ name: "././@LongLink", type: "L", magic: "gnu", data: "n".repeat(300) + "\0" }),
    entryBytes({ name: "././@LongLink", type: "K", magic: "gnu", data: "t".repeat(300) + "\0" }),
    archive({ name: "n", type: "2", link: "t", magic: "gnu" }),
  );
  const [{ entry }] = read(bytes) as [Seen];
  assert.deepEqual([entry.name, entry.linkName], ["n".repeat(300), "t".repeat(300)]);
});

Deno.test("TarReader keeps names that are not UTF-8", () => {
  const { entry } = one({ name: "x", patch: (block) => block.set([0x61, 0xe9, 0x2f, 0xc3, 0xa9], 0) });
  assert.equal(entry.name, "a\udce9/é");
});

const sparse: Record<string, FixtureEntry> = {
  "0.0": {
    name: "s",
    data: "abcdef",
    pax: [
      ["GNU.sparse.size", "100"],
      ["GNU.sparse.numblocks", "2"],
      ["GNU.sparse.offset", "10"],
      ["GNU.sparse.numbytes", "4"],
      ["GNU.sparse.offset", "90"],
      ["GNU.sparse.numbytes", "2"],
    ],
  },
  "0.1": {
    name: "GNUSparseFile.1/s",
    data: "abcdef",
    pax: { "GNU.sparse.size": "100", "GNU.sparse.name": "s", "GNU.sparse.map": "10,4,90,2" },
  },
  "1.0": {
    name: "GNUSparseFile.1/s",
    data: concat(padded(new TextEncoder().encode("2\n10\n4\n90\n2\n")), new TextEncoder().encode("abcdef")),
    pax: {
      "GNU.sparse.major": "1",
      "GNU.sparse.minor": "0",
      "GNU.sparse.name": "s",
      "GNU.sparse.realsize": "100",
    },
  },
  "old GNU": {
    name: "s",
    type: "S",
    magic: "gnu",
    data: "abcdef",
    patch: (block) => {
      const text = "00000000012\x0000000000004\x0000000000132\x0000000000002\0";
      block.set(new TextEncoder().encode(text), 386);
      block.set(new TextEncoder().encode("00000000144"), 483);
    },
  },
};

for (const [format, entry] of Object.entries(sparse)) {
  Deno.test(`TarReader reads sparse files of format ${format}`, () => {
    const seen = one(entry);
    assert.deepEqual([seen.entry.name, seen.entry.type, seen.entry.size], ["s", "file", 100]);
    assert.deepEqual(seen.entry.extents, [{ offset: 10, length: 4 }, { offset: 90, length: 2 }]);
    assert.deepEqual(seen.data, [[10, "abcd"], [90, "ef"]]);
  });
}

Deno.test("TarReader refuses sparse maps that do not fit the file", () => {
  const map = (text: string) =>
    archive({ ...sparse["0.1"]!, pax: { "GNU.sparse.size": "100", "GNU.sparse.map": text } });
  refuses(map("10,4,12,2"), "InvalidArgument", /overlap/);
  refuses(map("10,4,99,2"), "InvalidArgument", /beyond its end/);
  refuses(map("10,4"), "InvalidArgument", /names 4 bytes and the archive has 6/);
  refuses(map("10"), "InvalidArgument", /without a length/);
  refuses(map("10,x"), "InvalidArgument", /decimal number/);
  const endless = archive({ ...sparse["1.0"]!, data: "9".repeat(2000) });
  refuses(endless, "InvalidArgument", /line of over 20/);
  refuses(
    archive({ ...sparse["1.0"]!, data: "1048577\n" + "1\n".repeat(600) }),
    "InvalidArgument",
    /more than 1048576/,
  );
  refuses(archive({ ...sparse["1.0"]!, data: "900\n" + "1\n".repeat(600) }), "InvalidArgument", /longer than its body/);
});

Deno.test("TarReader refuses a damaged header", () => {
  const bytes = archive({ name: "x" });
  bytes[0] = 0x79;
  refuses(bytes, "InvalidArgument", /checksum/);
  refuses(
    archive({ name: "x", patch: (b) => b.set([0x39, 0x39], 100) }),
    "InvalidArgument",
    /mode field is not an octal/,
  );
  refuses(archive({ name: "x", patch: (b) => b.fill(0x7f, 125, 136).fill(0x80, 124, 125) }), "InvalidArgument", /size/);
  refuses(archive({ name: "x", patch: (b) => b.fill(0xff, 124, 136) }), "InvalidArgument", /negative/);
});

Deno.test("TarReader refuses malformed PAX records", () => {
  const pax = (data: string) => concat(entryBytes({ name: "p", type: "x", data }), archive({ name: "f" }));
  for (
    const body of ["x path=a\n", "99 path=a\n", "9 path=a ", "6 patha", " path=a\n", "5 =a\n", "99999999999 a=b\n"]
  ) {
    refuses(pax(body), "InvalidArgument", /PAX record/);
  }
  for (
    const record of [{ size: "-1" }, { uid: "1.5" }, { mtime: "soon" }, { path: "a\0b" }, { "SCHILY.xattr.": "x" }]
  ) {
    refuses(archive({ name: "f", pax: record as Record<string, string> }), "InvalidArgument", /PAX record/);
  }
});

Deno.test("TarReader refuses extended headers over the limit", () => {
  const bytes = entryBytes({ name: "p", type: "x", size: (1 << 20) + 1 });
  refuses(bytes, "InvalidArgument", /1048577 bytes, and 1048576 are the limit/);
});

Deno.test("TarReader refuses an archive that ends in the middle of an entry", () => {
  const bytes = concat(entryBytes({ name: "f", data: "x".repeat(600) }));
  for (const length of [100, 512, 700, 1111]) {
    refuses(bytes.subarray(0, length), "DataLoss", /ends too early.*unexpected EOF/);
  }
  refuses(entryBytes({ name: "p", type: "x", data: paxBody({ path: "a" }) }), "DataLoss", /ends too early/);
  assert.equal(read(bytes).length, 1, "without end blocks");
});

Deno.test("TarReader accepts an archive that ends before its last entry's padding", () => {
  const bytes = entryBytes({ name: "last", data: "x".repeat(100) });
  assert.deepEqual(read(bytes.subarray(0, 612)), read(bytes));
  assert.deepEqual(read(bytes.subarray(0, 700)), read(bytes));
  refuses(bytes.subarray(0, 611), "DataLoss", /ends too early/);
  const global = entryBytes({ name: "g", type: "g", data: paxBody({ comment: "x" }) });
  refuses(global.subarray(0, 700), "DataLoss", /ends too early/);
});

Deno.test("TarReader ignores everything after two end blocks", () => {
  assert.equal(read(concat(archive({ name: "a" }), new Uint8Array(700).fill(1))).length, 1);
  refuses(concat(endBlocks.subarray(0, 512), archive({ name: "a" })), "InvalidArgument", /follows an end block/);
});
