import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { parseReference, tryParseReference } from "./reference.ts";

const hex = "0123456789abcdef".repeat(4);

Deno.test("parseReference() completes short names as docker does", () => {
  const names: Record<string, string> = {
    debian: "docker.io/library/debian:latest",
    "debian:12": "docker.io/library/debian:12",
    "user/app": "docker.io/user/app:latest",
    "docker.io/debian": "docker.io/library/debian:latest",
    "index.docker.io/debian": "docker.io/library/debian:latest",
    "localhost/app": "localhost/app:latest",
    "127.0.0.1:5000/a/b:c": "127.0.0.1:5000/a/b:c",
    "[::1]:5000/a": "[::1]:5000/a:latest",
    "ghcr.io/o/r:v1.0_x-2": "ghcr.io/o/r:v1.0_x-2",
    "Host/app": "Host/app:latest",
    "localhost:5000": "docker.io/library/localhost:5000",
    "a__b/c---d/e.f": "docker.io/a__b/c---d/e.f:latest",
  };
  for (const [text, name] of Object.entries(names)) assert.equal(parseReference(text).name, name, text);
});

Deno.test("parseReference() lets a digest win over a tag", () => {
  const reference = parseReference(`debian:12@sha256:${hex}`);
  assert.equal(reference.name, `docker.io/library/debian@sha256:${hex}`);
  assert.equal(reference.digest, `sha256:${hex}`);
  assert.equal(reference.tag, undefined);
});

Deno.test("parseReference() refuses what is no image name and says why", () => {
  const reasons: [string, RegExp][] = [
    ["", /is empty/],
    ["https://ghcr.io/a", /has a scheme: write ghcr.io\/a/],
    [hex, /is an image id/],
    ["debian:", /bad tag ""/],
    ["debian:-x", /bad tag "-x"/],
    [`debian:${"x".repeat(129)}`, /bad tag/],
    ["debian@sha256:12", /bad digest "sha256:12"/],
    ["Debian", /upper-case/],
    ["a//b", /empty part/],
    ["a/../b", /bad part "\.\."/],
    ["a..b", /bad part/],
    ["host-.x/a", /bad registry host/],
    ["256.1.1.1/a", /bad registry host/],
    ["host:99999/a", /bad registry host/],
    ["-rm", /bad part "-rm"/],
    [`${"a/".repeat(125)}aaaaaaaaaaaaa`, /longer than 255/],
    ["a b", /bad part "a b"/],
    ["a\x1b[2j", /bad part "a\?\[2j"/],
  ];
  for (const [text, reason] of reasons) {
    assert.throws(
      () => parseReference(text),
      (error) => error instanceof Failure && error.code === "InvalidArgument" && reason.test(error.message),
      `"${text}"`,
    );
  }
});

Deno.test("tryParseReference() answers nothing for nonsense", () => {
  assert.equal(tryParseReference("<none>:<none>"), undefined);
  assert.equal(tryParseReference("busybox")?.name, "docker.io/library/busybox:latest");
});
