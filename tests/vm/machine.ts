/**
 * A virtual machine under QEMU: Debian with systemd, pure cgroup version 2 and AppArmor, and a shell for tests in it.
 *
 * @module
 */
import { type Finished, Running } from "../command.ts";
import { type Image, machineImage } from "./build_image.ts";
import { makeProgramDisk } from "./program_disk.ts";
import { kernelCommandLine } from "./recipe.ts";

/** From QEMU's start until the agent answers: 10 to 15 s where nothing else runs, minutes at the lowest priority. */
const bootMsMax = 480_000;

/** For scripts that take seconds where nothing else runs. */
const scriptSecondsMax = 240;

/** Options of {@link Machine.execute}. */
export interface MachineExecuteOptions {
  /** The script is killed after that many seconds. Default 240. */
  readonly seconds?: number;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command of words as shell text. */
export function shellText(words: readonly string[]): string {
  return words.map(quoted).join(" ");
}

/** Bytes of a connection, by lines and by counts. */
class Reader {
  #held = new Uint8Array(0);

  constructor(readonly source: Deno.Conn) {}

  async #more(): Promise<void> {
    const chunk = new Uint8Array(65536);
    const count = await this.source.read(chunk);
    if (count === null) throw new Error("the machine has ended");
    const joined = new Uint8Array(this.#held.length + count);
    joined.set(this.#held);
    joined.set(chunk.subarray(0, count), this.#held.length);
    this.#held = joined;
  }

  async bytes(count: number): Promise<Uint8Array> {
    while (this.#held.length < count) await this.#more();
    const taken = this.#held.slice(0, count);
    this.#held = this.#held.slice(count);
    return taken;
  }

  async line(): Promise<string> {
    for (;;) {
      const end = this.#held.indexOf(10);
      if (end >= 0) return new TextDecoder().decode(await this.bytes(end + 1)).trimEnd();
      await this.#more();
    }
  }
}

/**
 * Life: {@link bootMachine} → {@link Machine.execute} any number of times, one after another → disposal, which ends QEMU.
 * Nothing that happens in the machine outlives it: its disk is an overlay in a temporary file.
 */
export class Machine implements AsyncDisposable {
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly qemu: Running,
    private readonly connection: Deno.Conn,
    private readonly reader = new Reader(connection),
  ) {}

  /** What the kernel and systemd have written until now. */
  console(): string {
    return this.qemu.stdout;
  }

  /** Runs shell text (bash) as root to its end; 124 where its time was over. Throws where the machine has ended. */
  async execute(script: string, options: MachineExecuteOptions = {}): Promise<Finished> {
    const answer = this.#turn.then(() => this.#ask(script, options.seconds ?? scriptSecondsMax));
    this.#turn = answer.catch(() => {});
    return await answer;
  }

  async #ask(script: string, seconds: number): Promise<Finished> {
    const base64 = new TextEncoder().encode(script).toBase64();
    // The agent's own deadline comes first; this one is for a machine that hangs.
    const timer = setTimeout(() => this.qemu.kill("SIGKILL"), (seconds + 60) * 1000);
    try {
      const request = new TextEncoder().encode(`${seconds} ${base64}\n`);
      for (let sent = 0; sent < request.length;) sent += await this.connection.write(request.subarray(sent));
      const [code = NaN, ...lengths] = (await this.reader.line()).split(" ").map(Number);
      const decoder = new TextDecoder();
      const stdout = decoder.decode(await this.reader.bytes(lengths[0]!));
      const stderr = decoder.decode(await this.reader.bytes(lengths[1]!));
      return { code, stdout, stderr };
    } catch (cause) {
      const last = this.console().split("\n").slice(-20).join("\n");
      throw new Error(`the virtual machine does not answer; its console ends with:\n${last}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Runs shell text that must succeed; gives what it wrote on standard output. */
  async succeed(script: string, options: MachineExecuteOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.execute(script, options);
    if (code !== 0) throw new Error(`in the virtual machine: ${script}\nended with ${code}: ${stdout}${stderr}`);
    return stdout;
  }

  /** Writes a file in the machine. */
  async write(path: string, text: string, mode = 0o644): Promise<void> {
    const base64 = new TextEncoder().encode(text).toBase64();
    const name = quoted(path);
    await this.succeed(`base64 -d > ${name} <<'END'\n${base64}\nEND\nchmod ${mode.toString(8)} ${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.close();
    await this.qemu[Symbol.asyncDispose]();
  }
}

/** The command line of QEMU: two processors, 2 GB that are only taken as they are used, no network. */
function qemuCommand(image: Image, directory: string, commandLine: string): string[] {
  const disk = (path: string, more = "") => ["-drive", `file=${path},format=raw,if=virtio${more}`];
  return [
    // QEMU ends with the process of the tests, however that ends.
    ...["setpriv", "--pdeathsig", "KILL", "--"],
    "qemu-system-x86_64",
    ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"],
    ...["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"],
    ...["-kernel", image.kernel, "-initrd", image.firstFiles, "-append", commandLine],
    ...disk(image.root, ",snapshot=on"),
    ...disk(`${directory}/program.tar`, ",readonly=on"),
    ...["-device", "virtio-serial", "-chardev", `socket,id=agent,path=${directory}/agent,server=on,wait=off`],
    ...["-device", "virtserialport,chardev=agent,name=agent"],
  ];
}

async function connect(path: string, qemu: Running): Promise<Deno.Conn> {
  let ended = false;
  const end = qemu.finished.then(({ stderr }) => stderr, String).finally(() => ended = true);
  for (let waitedMs = 0; waitedMs < 20_000; waitedMs += 50) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (ended) throw new Error(`QEMU has ended: ${await end}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error("QEMU does not listen for the agent");
}

/** Boots a machine and waits until systemd is up. Throws where the image cannot be made or the machine does not boot. */
export async function bootMachine(commandLine = kernelCommandLine): Promise<Machine> {
  const image = await machineImage();
  const directory = await Deno.makeTempDir({ prefix: "barge-vm-" });
  await makeProgramDisk(`${directory}/program.tar`, directory);
  const qemu = new Running(qemuCommand(image, directory, commandLine), { timeoutMs: 1_500_000 });
  try {
    const machine = new Machine(qemu, await connect(`${directory}/agent`, qemu));
    // QEMU has all of it open: nothing is left then, however this ends.
    await Deno.remove(directory, { recursive: true });
    await machine.succeed("true", { seconds: bootMsMax / 1000 });
    return machine;
  } catch (error) {
    await qemu[Symbol.asyncDispose]();
    await Deno.remove(directory, { recursive: true }).catch(() => {}); // It may have gone already.
    throw error;
  }
}
