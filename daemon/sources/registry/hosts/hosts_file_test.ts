import assert from "node:assert/strict";
import { isFailure } from "../../../../api/errors.ts";
import { parseHostsFile } from "./hosts_file.ts";

const parse = (text: string) => parseHostsFile(text, "/certs/host");

Deno.test("parseHostsFile() gives the hosts in the file's order, and the server last", async () => {
  const { entries, unknown } = await parse(`
    server = "https://upstream.example"
    [host."https://z.example/path"]
      capabilities = ["pull", "Resolve"]
    [host."http://a.example:5000/v2/"]
      capabilities = ["pull"]
    [host."m.example"]
      capabilities = ["push"]
    [host."https://o.example/api"]
      override_path = true
      dial_timeout = "1.5s"
  `);
  assert.deepEqual(unknown, []);
  assert.deepEqual(entries.map(({ address, resolves, pulls }) => [address?.href, resolves, pulls]), [
    ["https://z.example/path/v2", true, true],
    ["http://a.example:5000/v2", false, true],
    ["https://m.example/v2", false, false],
    ["https://o.example/api", true, true],
    ["https://upstream.example/v2", true, true],
  ]);
  assert.equal(entries[3]!.dialMsMax, 1500);
});

Deno.test("parseHostsFile() without a server ends with the registry itself, which can do everything", async () => {
  const { entries, unknown } = await parse(`
    capabilities = ["push"]
    skip_verify = true
    colour = "red"
    [host."https://m.example"]
    weight = 3
  `);
  assert.deepEqual(entries.map(({ address }) => address?.href), ["https://m.example/v2", undefined]);
  assert.deepEqual(entries[1], {
    resolves: true,
    pulls: true,
    headers: [],
    tls: { authorities: [], skipVerify: true },
  });
  assert.deepEqual(unknown, ["colour", 'host."https://m.example".weight']);
});

Deno.test("parseHostsFile() takes every form of certificates and headers", async () => {
  const tls = async (lines: string) => (await parse(`[host."https://m.example"]\n${lines}`)).entries[0]!.tls;
  assert.deepEqual(await tls(`ca = "ca.crt"`), { authorities: ["/certs/host/ca.crt"] });
  assert.deepEqual(await tls(`ca = ["/a.crt", "b.crt"]`), { authorities: ["/a.crt", "/certs/host/b.crt"] });
  const both = { certificate: "/certs/host/both.pem", key: "/certs/host/both.pem" };
  for (const value of [`"both.pem"`, `["both.pem"]`]) {
    assert.deepEqual(await tls(`client = ${value}`), { authorities: [], client: both });
  }
  const pair = { certificate: "/certs/host/c.crt", key: "/c.key" };
  assert.deepEqual(await tls(`client = [["c.crt", "/c.key"]]`), { authorities: [], client: pair });
  const { entries } = await parse(`[host."https://m.example".header]\nX-One = "1"\nX-Many = ["a", "b"]`);
  assert.deepEqual(entries[0]!.headers, [["X-One", "1"], ["X-Many", "a"], ["X-Many", "b"]]);
});

Deno.test("parseHostsFile() refuses what is wrong, and says what would be right", async () => {
  const cases: [string, RegExp][] = [
    ["server = 3", /"server" is 3: want a URL/],
    [`server = "ftp://x"`, /"ftp:\/\/x" is no address/],
    ["host = 1", /"host" is 1/],
    [`[host]\nx = 1`, /host\."x"" is 1: want a table/],
    [`[host."https://m"]\ncapabilities = ["fly"]`, /"capabilities" is "fly": want pull, resolve, push, referrers/],
    [`[host."https://m"]\nca = 1`, /"ca" is 1/],
    [`[host."https://m"]\nclient = [["a"], ["b", "c", "d"]]`, /"client" is \["b","c","d"\]/],
    [`[host."https://m"]\nclient = ["a", "b"]`, /has 2 certificates/],
    [`[host."https://m"]\nskip_verify = "yes"`, /"skip_verify" is "yes"/],
    [`[host."https://m"]\noverride_path = 1`, /"override_path" is 1/],
    [`[host."https://m"]\ndial_timeout = "soon"`, /invalid duration "soon"/],
    [`[host."https://m".header]\na = 1`, /header\."a"" is 1/],
    [`[host."https://m".header]\n"a b" = "1"`, /"header" is "a b"/],
    [`[host."https://m".header]\na = "1\\n2"`, /want printable texts/],
    ["server =", /Invalid TOML/],
  ];
  for (const [text, pattern] of cases) {
    await assert.rejects(
      parse(text),
      (error) => isFailure(error, "InvalidArgument") && pattern.test(error.message),
      text,
    );
  }
});
