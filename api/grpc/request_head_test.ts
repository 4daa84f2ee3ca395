import { deepEqual, equal } from "node:assert/strict";
import type { Field } from "./hpack/static_table.ts";
import { requestHead } from "./request_head.ts";

const good: readonly Field[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/a.B/C"],
  [":authority", ""],
  ["te", "trailers"],
];

Deno.test("requestHead() gives what decides how a call is taken", () => {
  deepEqual(requestHead([...good, ["content-type", "application/grpc"], ["grpc-timeout", "1S"]]), {
    verb: "POST",
    path: "/a.B/C",
    contentType: "application/grpc",
    timeout: "1S",
    encoding: undefined,
  });
});

Deno.test("requestHead() gives nothing for a malformed request", () => {
  const malformed: Field[][] = [
    [],
    ...[0, 1, 2].map((missing) => good.filter((_, index) => index !== missing)),
    ...good.slice(0, 4).map((twice) => [twice, ...good]),
    ...([[":status", "200"], [":path", "/x"], ["A", "b"], ["", "b"], ["a b", "c"]] satisfies Field[])
      .map((field) => [...good, field]),
    ...([["a", "b\r\nc"], ["te", "gzip"], ["connection", "close"], ["transfer-encoding", "chunked"]] satisfies Field[])
      .map((field) => [...good, field]),
  ];
  for (const fields of malformed) equal(requestHead(fields), undefined, JSON.stringify(fields));
});
