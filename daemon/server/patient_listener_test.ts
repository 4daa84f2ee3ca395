import { equal } from "node:assert/strict";
import { patiently } from "./patient_listener.ts";

Deno.test("patiently() goes on after a failure to accept, and ends with its listener", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let failures = 1;
  const problems: unknown[] = [];
  const flaky = {
    accept: () => failures-- > 0 ? Promise.reject(new Error("too many open files")) : listener.accept(),
    close: () => listener.close(),
  };
  const connections = patiently(flaky, (error) => problems.push(error));
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  let count = 0;
  for await (const connection of connections) {
    count++;
    connection.close();
    connections.close();
  }
  client.close();
  equal(count, 1);
  equal(String(problems), "Error: too many open files");
});
