import { deepEqual, equal, throws } from "node:assert/strict";
import { ConnectionError } from "../frames.ts";
import { HeaderDecoder } from "./decoder.ts";
import { encodeHeaders } from "./encoder.ts";
import type { Field } from "./static_table.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));
const decoder = (tableBytesMax = 4096, listBytesMax = 65_536) => new HeaderDecoder({ tableBytesMax, listBytesMax });

/** RFC 7541, appendices C.3 and C.4: the same three requests, plain and with the Huffman code. */
const requests: readonly (readonly Field[])[] = [
  [[":method", "GET"], [":scheme", "http"], [":path", "/"], [":authority", "www.example.com"]],
  [[":method", "GET"], [":scheme", "http"], [":path", "/"], [":authority", "www.example.com"], [
    "cache-control",
    "no-cache",
  ]],
  [[":method", "GET"], [":scheme", "https"], [":path", "/index.html"], [":authority", "www.example.com"], [
    "custom-key",
    "custom-value",
  ]],
];
const plain = [
  "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
  "8286 84be 5808 6e6f 2d63 6163 6865",
  "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
];
const huffman = [
  "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
  "8286 84be 5886 a8eb 1064 9cbf",
  "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];
/** RFC 7541, appendix C.6: responses with a table of 256 bytes, so that entries are evicted. */
const responses = [
  "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
  "4883 640e ffc1 c0bf",
];

Deno.test("HeaderDecoder decodes the examples of RFC 7541", () => {
  for (const blocks of [plain, huffman]) {
    const decode = decoder();
    for (const [index, block] of blocks.entries()) deepEqual(decode.decode(hex(block)), requests[index]);
  }
  const evicting = decoder(256);
  deepEqual(evicting.decode(hex(responses[0]!))?.[0], [":status", "302"]);
  deepEqual(evicting.decode(hex(responses[1]!))?.map(([, value]) => value), [
    "307",
    "private",
    "Mon, 21 Oct 2013 20:13:21 GMT",
    "https://www.example.com",
  ]);
});

Deno.test("HeaderDecoder refuses malformed blocks", () => {
  for (
    const block of [
      "80",
      "ff80 8080 8080 01",
      "bf",
      "4005 6162",
      "3fe2 1f",
      "8220",
      "40 81ff 00",
      "40 84ff ffff ff 00",
      "40",
      "7f",
    ]
  ) throws(() => decoder().decode(hex(block)), ConnectionError, block);
});

Deno.test("HeaderDecoder reads a list over the limit to its end, and answers undefined", () => {
  const decode = decoder(4096, 100);
  equal(decode.decode(encodeHeaders([["a", "x".repeat(100)], ["b", "y"]])), undefined);
  deepEqual(decode.decode(encodeHeaders([["b", "y"]])), [["b", "y"]]);
});

Deno.test("encodeHeaders() writes what HeaderDecoder reads, for lengths around the integer's steps", () => {
  for (const length of [0, 1, 14, 15, 16, 126, 127, 128, 255, 4000]) {
    const fields: Field[] = [[":status", "200"], ["grpc-status", "0"], ["x".repeat(length + 1), "y".repeat(length)]];
    deepEqual(decoder().decode(encodeHeaders(fields)), fields);
  }
});
