import { deepStrictEqual as equal, throws } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { resolveUser } from "./user.ts";

const files = {
  passwd: "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:Web:/var/www:/bin/sh\nbad:x:::/:\n1000:x:0:0::/root:/bin/sh\n",
  group: "root:x:0:\nweb:x:34:\naudio:x:29:web,other\nvideo:x:44:web\n99:x:0:\n",
};
const ids = (text: string) => {
  const { uid, gid, additionalGids, home } = resolveUser(text, files);
  return [uid, gid, additionalGids, home];
};

Deno.test("resolveUser() finds names, their groups and their home", () => {
  equal(ids(""), [0, 0, [0], "/root"]);
  equal(ids("web"), [33, 34, [34, 29, 44], "/var/www"]);
  equal(ids("33"), [33, 34, [34, 29, 44], "/var/www"]);
});

Deno.test("resolveUser() takes the group that is named, and then no others", () => {
  equal(ids("web:audio"), [33, 29, [29], "/var/www"]);
  equal(ids("web:7"), [33, 7, [7], "/var/www"]);
  equal(ids(":audio"), [0, 29, [29], "/root"]);
});

Deno.test("resolveUser() takes a number as an id even where the image has a user of that name", () => {
  equal(ids("1000"), [1000, 0, [0], "/"]);
  equal(ids("1000:99"), [1000, 99, [99], "/"]);
});

Deno.test("resolveUser() needs no files for numbers and for root", () => {
  equal(resolveUser("5:6", { passwd: "", group: "" }), { uid: 5, gid: 6, additionalGids: [6], home: "/" });
  equal(resolveUser("", { passwd: "", group: "" }).uid, 0);
});

Deno.test("resolveUser() names what it misses, and refuses ids that would wrap to root", () => {
  const empty = { passwd: "", group: "" };
  throws(
    () => resolveUser("root", empty),
    /unable to find user root: no matching entries in the image's \/etc\/passwd/,
  );
  throws(() => resolveUser("bad", files), /unable to find user bad/);
  throws(() => resolveUser("web:nobody", files), /unable to find group nobody/);
  for (const text of ["4294967296", "2147483648", "-1", "0:4294967296"]) {
    throws(() => resolveUser(text, files), (error) => isFailure(error, "OutOfRange"), text);
  }
});
