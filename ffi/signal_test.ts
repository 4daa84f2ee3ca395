import { equal } from "node:assert/strict";
import { Reactor } from "./reactor.ts";
import { listenTo } from "./signal.ts";

const SIGUSR1 = 10;
const SIGUSR2 = 12;

Deno.test("listenTo() hears a signal each time, and gives it back its former action", async () => {
  using reactor = new Reactor();
  // Deno's own listeners do not keep the event loop going.
  const busy = setInterval(() => {}, 1000);
  // What it is given back: without it the last signal would end this process.
  let theirs = 0;
  let heard = Promise.withResolvers<void>();
  const deno = () => {
    theirs++;
    heard.resolve();
  };
  Deno.addSignalListener("SIGUSR2", deno);
  let ours = 0;
  const forget = listenTo(reactor, "SIGUSR2", SIGUSR2, () => {
    ours++;
    heard.resolve();
  });
  for (const expected of [1, 2]) {
    Deno.kill(Deno.pid, "SIGUSR2");
    await heard.promise;
    heard = Promise.withResolvers();
    equal(ours, expected);
  }
  equal(theirs, 0);
  forget();
  Deno.kill(Deno.pid, "SIGUSR2");
  await heard.promise;
  equal([ours, theirs].join(), "2,1");
  Deno.removeSignalListener("SIGUSR2", deno);
  clearInterval(busy);
});

Deno.test("listenTo() keeps Deno from opening its debugger at SIGUSR1", async () => {
  const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  const program = `import { Reactor } from ${url("./reactor.ts")};
    import { listenTo } from ${url("./signal.ts")};
    listenTo(new Reactor(), "SIGUSR1", ${SIGUSR1}, () => console.log("heard"));
    // Deno's own listener comes half a second after the start.
    setTimeout(() => console.log("ready"), 1000);
    setInterval(() => {}, 1000);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-config",
      "--allow-all",
      "--ext=ts",
      `data:application/typescript,${encodeURIComponent(program)}`,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  let output = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    if (output === "ready\n") child.kill("SIGUSR1");
    // Deno's own takes some milliseconds to open its port.
    if (output.endsWith("heard\n")) setTimeout(() => child.kill("SIGKILL"), 300);
  }
  await child.status;
  equal(output, "ready\nheard\n");
  equal(await errors, "");
});
