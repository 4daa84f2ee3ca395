import { deepEqual, equal, throws } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import type { ActiveMount } from "./activation.ts";
import { compactLowers, parseMountOptions } from "./mount_options.ts";
import { planActivation } from "./plan.ts";
import { formatText, splitType, transform } from "./transform.ts";
import { flags } from "../../ffi/constants.ts";

const active = ["/a", "/b", "/c"].map((mountPoint, index): ActiveMount => ({
  mount: { type: "x", source: `s${index}`, target: `t${index}`, options: [] },
  mountPoint,
  mountedAt: 0,
}));
const mount = (type: string, ...options: string[]) => ({ type, source: "/img", target: "", options });
const invalid = (error: unknown) => isFailure(error, "InvalidArgument");

Deno.test("formatText() fills in what earlier mounts were and where they are", () => {
  equal(formatText("{{ source 1 }}:{{target 0}}:{{- mount 2 -}}", active), "s1:t0:/c");
  equal(formatText("lowerdir={{ overlay 0 2 }}", active), "lowerdir=/a:/b:/c");
  equal(formatText("{{ overlay 2 1 }}{{ overlay 1 1 }}", active), "/c:/b/b");
  for (const text of ["{{ mount 3 }}", "{{ mount -1 }}", "{{ overlay 0 3 }}", "{{ env 1 }}", "{{ mount }}", "{{}}"]) {
    throws(() => formatText(text, active), invalid, text);
  }
  equal(formatText("{ mount 1 }", active), "{ mount 1 }");
});

Deno.test("splitType() takes known prefixes off in order and leaves the rest", () => {
  deepEqual(splitType("format/mkdir/overlay"), { prefixes: ["format", "mkdir"], type: "overlay" });
  deepEqual(splitType("other/mkdir/overlay"), { prefixes: [], type: "other/mkdir/overlay" });
});

Deno.test("transform() turns the options of mkdir/ and mkfs/ into what is to be made", () => {
  const both = mount(
    "format/mkdir/mkfs/ext4",
    "loop",
    "X-containerd.mkdir.path={{ mount 0 }}/d:750:1:2",
    "X-containerd.mkdir.path=/e",
    "X-containerd.mkfs.size=1.5MiB",
    "X-containerd.mkfs.fs=xfs",
  );
  deepEqual(transform(both, active), {
    mount: mount("ext4", "loop"),
    preparations: [
      { kind: "directory", path: "/a/d", mode: 0o750, owner: { uid: 1, gid: 2 } },
      { kind: "directory", path: "/e", mode: 0o700, owner: undefined },
      { kind: "image", path: "/img", size: 1.5 * 2 ** 20, fileSystem: "xfs", uuid: undefined },
    ],
  });
  const bad = [
    mount("mkfs/ext4"),
    mount("mkfs/ext4", "X-containerd.mkfs.size=much"),
    mount("mkfs/ext4", "X-containerd.mkfs.size=1m", "X-containerd.mkfs.fs=fat"),
    mount("mkfs/ext4", "X-containerd.mkfs.size=1m", "X-containerd.mkfs.uuid=-x"),
    mount("mkfs/ext4", "X-containerd.mkfs.size=1m", "X-containerd.mkfs.color=1"),
    mount("mkdir/bind", "X-containerd.mkdir.path=/d:1777"),
    mount("mkdir/bind", "X-containerd.mkdir.path=/d:700:1"),
    mount("mkdir/bind", "X-containerd.mkdir.mode=1"),
  ];
  for (const one of bad) throws(() => transform(one, active), invalid, JSON.stringify(one));
});

Deno.test("planActivation() performs what comes before a prefix, and what has a handler", () => {
  const handlers = new Map([["erofs", { mount: () => Promise.reject(), unmount: () => Promise.reject() }]]);
  const plan = (types: string[], temporary = false) =>
    planActivation(types.map((type) => mount(type)), temporary, handlers);
  equal(plan(["overlay", "bind"]), undefined);
  deepEqual(plan(["ext4", "format/overlay"]), { count: 1, handled: [""], transformed: true });
  deepEqual(plan(["erofs", "ext4"]), { count: 1, handled: ["erofs"], transformed: false });
  deepEqual(plan(["bind", "erofs"], true), { count: 2, handled: ["", "erofs"], transformed: false });
  throws(() => plan(Array(256).fill("bind")), invalid);
});

Deno.test("parseMountOptions() keeps flags, propagation and data apart, the later word over the earlier", () => {
  deepEqual(parseMountOptions(["ro", "nosuid", "rw", "rslave", "defaults", "size=1m", "mode=700"]), {
    flags: flags("MS_NOSUID", "MS_REC"),
    propagation: flags("MS_SLAVE", "MS_REC"),
    data: ["size=1m", "mode=700"],
    loop: false,
    directIo: false,
  });
  deepEqual(parseMountOptions(["loop", "direct-io"]), {
    flags: 0,
    propagation: 0,
    data: [],
    loop: true,
    directIo: true,
  });
  throws(() => parseMountOptions(["gidmap=0:1:1"]), (error) => isFailure(error, "NotImplemented"));
});

Deno.test("compactLowers() makes lower directories relative to what they have in common", () => {
  const data = ["index=off", "lowerdir=/r/s/12/fs:/r/s/1/fs"];
  deepEqual(compactLowers(data), { directory: "/r/s", data: ["index=off", "lowerdir=12/fs:1/fs"] });
  equal(compactLowers(["lowerdir=/r/s/12/fs"]), undefined);
  equal(compactLowers(["lowerdir=/a:/b"]), undefined);
});
