import { deepStrictEqual as equal, ok } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { parseRun, type RunCommand, runHelp } from "./flags.ts";

function parse(line: string): RunCommand {
  const command = parseRun(line.split(" "));
  if (command === "help") throw new Error("help");
  return command;
}

function refusal(line: string): string {
  try {
    parse(line);
  } catch (error) {
    ok(isFailure(error, "InvalidArgument"), String(error));
    ok(!error.message.includes("\n") && !error.message.endsWith("."), error.message);
    return error.message;
  }
  throw new Error(`${line} was accepted`);
}

Deno.test("parseRun() leaves what follows the image alone", () => {
  const { image, command, flags } = parse("-it --name web debian:12 sh -c -- --help -it");
  equal([image, command, flags.name, flags.tty], ["debian:12", ["sh", "-c", "--", "--help", "-it"], "web", true]);
});

Deno.test("parseRun() keeps the container for --keep and for --rm=false", () => {
  equal(["x", "--keep x", "--rm=false x", "--rm x"].map((line) => parse(line).keep), [false, true, true, false]);
  ok(refusal("--rm --keep x").includes("contradict"));
});

Deno.test("parseRun() reads sizes, processors and numbers", () => {
  const { flags } = parse("-m 1.5g --shm-size=1m --cpus .5 --cpuset-cpus 0-1,3 --pids-limit -1 -c 512 x");
  equal([flags.memory, flags.shmSize, flags.cpus, flags.pidsLimit, flags.cpuShares], [
    1610612736,
    1048576,
    50000,
    -1,
    512,
  ]);
  equal(
    ["64", "64b", "2KiB", "1 mb", "1T"].map((size) => parseRun(["--shm-size", size, "x"])).map((command) =>
      command === "help" ? 0 : command.flags.shmSize
    ),
    [64, 64, 2048, 1048576, 2 ** 40],
  );
  ok(refusal("-m lots x").startsWith('invalid value "lots" for -m: want a number'));
  ok(refusal("-m 1m x").includes("at least 6m"));
  ok(refusal("--memory=-1 x").includes("--memory"));
  ok(refusal("--cpus 0.001 x").includes("0.01"));
  ok(refusal("--cpuset-cpus 3-1 x").includes("0-2,5"));
  ok(refusal("--pids-limit 1e3 x").includes("4194304"));
});

Deno.test("parseRun() reads resource limits with and without a hard one", () => {
  equal(parse("--ulimit nofile=10:20 --ulimit core=-1 --ulimit cpu=5 x").flags.ulimit, [
    { type: "RLIMIT_NOFILE", soft: 10, hard: 20 },
    { type: "RLIMIT_CORE", soft: 2 ** 64, hard: 2 ** 64 },
    { type: "RLIMIT_CPU", soft: 5, hard: 5 },
  ]);
  ok(refusal("--ulimit nofile=20:10 x").includes("not above the hard one"));
  ok(refusal("--ulimit files=1 x").includes("one of the types"));
  ok(refusal("--ulimit nofile x").includes("TYPE=SOFT"));
});

Deno.test("parseRun() reads volumes and mounts, the shallowest first", () => {
  const line =
    "-v ./a:/deep/er/x:ro,rslave --mount type=bind,src=/s,dst=/b/../c,readonly=true,bind-propagation=shared " +
    "--tmpfs /run:size=1m,exec,mode=700 --mount type=tmpfs,target=/t,tmpfs-mode=1777 x";
  equal(parse(line).mounts, [
    {
      type: "bind",
      source: "/s",
      target: "/c",
      readonly: true,
      propagation: "shared",
      recursive: true,
      createSource: false,
    },
    { type: "tmpfs", target: "/t", options: ["nosuid", "nodev", "noexec", "mode=1777"] },
    { type: "tmpfs", target: "/run", options: ["nosuid", "nodev", "size=1048576", "exec", "mode=700"] },
    {
      type: "bind",
      source: "./a",
      target: "/deep/er/x",
      createSource: true,
      readonly: true,
      propagation: "rslave",
      recursive: true,
    },
  ]);
});

Deno.test("parseRun() reads a mount's path with a comma in CSV quotes", () => {
  const command = parseRun(["--mount", 'type=bind,"source=/a,b",target=/c', "x"]);
  ok(command !== "help" && command.mounts[0]?.type === "bind");
  equal(command.mounts[0].source, "/a,b");
});

Deno.test("parseRun() says what is wrong with a volume or mount", () => {
  ok(refusal("-v data:/d x").includes("named volumes are not supported: want a path as the source, as ./data"));
  ok(refusal("-v /d x").includes("anonymous volumes"));
  ok(refusal("-v /a:/b:z,Z x").includes("only one of"));
  ok(refusal("-v /a:/b:cached,delegated x").includes("only one of"));
  ok(refusal("-v /a:b x").includes("absolute path"));
  ok(refusal("-v /a:/ x").includes("root itself"));
  ok(refusal("-v /a:/b:ro,rw x").includes("only one of the options ro and rw"));
  ok(refusal("-v /a:/b:fast x").includes('not "fast"'));
  ok(refusal("-v /a:/b --tmpfs /b/ x").includes("two mounts have the target /b"));
  ok(refusal("--mount type=volume,target=/a x").includes('not "volume"'));
  ok(refusal("--mount source=/a,target=/a x").includes("want type=bind"));
  ok(refusal("--mount type=tmpfs,source=/a,target=/a x").includes("no source for the type tmpfs"));
  ok(refusal("--mount type=bind,source=/a x").includes("target=PATH"));
  ok(refusal("--mount type=bind,target=/a x").includes("source=PATH"));
  ok(refusal("--mount type=bind,source=/a,target=/b,ro,readonly x").includes("only once"));
  ok(refusal("--tmpfs /a:fast x").includes('not "fast"'));
});

Deno.test("parseRun() reads capabilities in any spelling", () => {
  equal(parse("--cap-add net_admin --cap-drop CAP_KILL --cap-drop all x").flags.capDrop, ["CAP_KILL", "ALL"]);
  ok(refusal("--cap-add NET x").includes("NET_ADMIN"));
});

Deno.test("parseRun() reads security options, of which the last one counts", () => {
  const line = "--security-opt seccomp=a.json --security-opt no-new-privileges --security-opt seccomp=unconfined x";
  equal([parse(line).seccomp, parse(line).noNewPrivileges], ["unconfined", true]);
  equal(parse("--security-opt no-new-privileges:false x").noNewPrivileges, false);
  equal([parse("x").seccomp, parse("--privileged x").seccomp], ["builtin", "unconfined"]);
  ok(refusal("--security-opt apparmor=x x").includes("want seccomp=FILE"));
});

Deno.test("parseRun() lets only a container's own kernel parameters through", () => {
  equal(parse("--sysctl net.core.somaxconn=9 x").flags.sysctl, [["net.core.somaxconn", "9"]]);
  equal(parse("--sysctl net/ipv4/conf/eth0.1/arp_filter=1 x").flags.sysctl.length, 1);
  ok(refusal("--sysctl kernel.panic=1 x").includes("a container has as its own"));
  for (const name of ["net/../kernel/panic", "net.//.kernel.panic", "net..kernel", "net", "fs.mqueue"]) {
    ok(refusal(`--sysctl ${name}=1 x`).startsWith(`invalid value "${name}=1" for --sysctl: want`), name);
  }
  ok(refusal("--network host --sysctl net.core.somaxconn=9 x").includes("host's network"));
});

Deno.test("parseRun() refuses names that cannot be", () => {
  ok(refusal("--name -x x").includes("first is a letter or digit"));
  ok(refusal("--name a/b x").includes("--name"));
  ok(refusal("--hostname -a x").includes("web-1"));
  ok(refusal("-w tmp x").includes("absolute path"));
  ok(refusal("-u a:b:c x").includes("want NAME or UID"));
  ok(refusal("--platform linux/ x").includes("platform"));
  ok(refusal("--network bridge x").includes("want host or none"));
  ok(refusal("-e =x x").includes("want NAME=VALUE"));
  ok(refusal("--nmae x y").includes("did you mean --name?"));
  ok(refusal("-t").includes("needs an image"));
});

Deno.test("runHelp() fits a terminal and names every flag", () => {
  const help = runHelp();
  ok(help.split("\n").every((line) => line.length <= 110), help);
  equal(parseRun(["--help"]), "help");
  for (const name of ["--env-file FILE", "--cap-add NAME", "-m, --memory SIZE", "--security-opt OPTION"]) {
    ok(help.includes(name), name);
  }
});
