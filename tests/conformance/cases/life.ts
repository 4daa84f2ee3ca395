/**
 * Every command in every state of a container, right or wrong; texts and codes as callers match them.
 *
 * @module
 */
import type { Case, Step } from "../case.ts";
import { mustNotExist } from "../case.ts";

/** States that a command meets, with the steps that lead to them. */
const states = {
  missing: [],
  created: [{ call: ["create", "ID"] }],
  running: [{ call: ["create", "ID"] }, { call: ["start", "ID"] }],
  paused: [{ call: ["run", "-d", "ID"] }, { call: ["pause", "ID"] }],
  stopped: [{ call: ["run", "-d", "ID"] }, { call: ["kill", "ID", "KILL"] }, { until: "stopped" }],
} as const satisfies Record<string, readonly Step[]>;

type State = keyof typeof states;

/** What a command must come to in a state: a code and a text on standard error, and the state afterwards. */
interface Outcome {
  readonly code?: number;
  readonly err?: RegExp;
  /** The state stays as it was unless this names another. */
  readonly then?: State;
  readonly except?: Case["except"];
}

const absent: Outcome = { code: 1, err: /container does not exist/ };
const notRunning: Outcome = { code: 1, err: /container not running/ };

/** Words of a command → state → outcome. */
const outcomes: readonly [words: readonly string[], Readonly<Partial<Record<State, Outcome>>>][] = [
  [["state", "ID"], { missing: absent, created: {}, running: {}, paused: {}, stopped: {} }],
  [["start", "ID"], {
    missing: absent,
    created: { then: "running" },
    running: { code: 1, err: /cannot start an already running container/ },
    paused: { code: 1, err: /paused/ },
    stopped: { code: 1, err: /cannot start a container that has stopped/ },
  }],
  [["create", "ID"], {
    missing: { then: "created" },
    created: { code: 1, err: /container with given ID already exists/ },
    running: { code: 1, err: /container with given ID already exists/ },
    paused: { code: 1, err: /container with given ID already exists/ },
    stopped: { code: 1, err: /container with given ID already exists/ },
  }],
  [["run", "ID"], {
    // Of a missing one it is tested elsewhere: in the foreground it runs until it ends.
    created: { code: 1, err: /container with given ID already exists/ },
    running: { code: 1, err: /container with given ID already exists/ },
    paused: { code: 1, err: /container with given ID already exists/ },
    stopped: { code: 1, err: /container with given ID already exists/ },
  }],
  [["kill", "ID", "KILL"], {
    missing: absent,
    created: { then: "stopped" },
    running: { then: "stopped" },
    paused: { then: "stopped" },
    stopped: notRunning,
  }],
  [["kill", "ID", "0"], { missing: absent, created: {}, running: {}, paused: {}, stopped: notRunning }],
  [["delete", "ID"], {
    missing: absent,
    created: { then: "missing" },
    running: { code: 1, err: /is not stopped: running/ },
    paused: { code: 1, err: /is not stopped: paused/ },
    stopped: { then: "missing" },
  }],
  [["delete", "--force", "ID"], {
    missing: {},
    created: { then: "missing" },
    running: { then: "missing" },
    paused: { then: "missing" },
    stopped: { then: "missing" },
  }],
  [["pause", "ID"], {
    missing: absent,
    created: { then: "paused" },
    running: { then: "paused" },
    paused: { code: 1, err: /container not running/ },
    stopped: { code: 1, err: /container not running/ },
  }],
  [["resume", "ID"], {
    missing: absent,
    created: { code: 1, err: /container not paused/ },
    running: { code: 1, err: /container not paused/ },
    paused: { then: "running" },
    stopped: { code: 1, err: /container not paused/ },
  }],
  [["exec", "ID", "true"], {
    missing: { code: 255, err: /container does not exist/ },
    created: {},
    running: {},
    paused: { code: 255, err: /cannot exec in a paused container/ },
    stopped: { code: 255, err: /cannot exec in a stopped container/ },
  }],
  [["ps", "--format", "json", "ID"], { missing: absent, created: {}, running: {}, paused: {}, stopped: {} }],
  [["events", "--stats", "ID"], {
    missing: absent,
    created: {},
    running: {},
    paused: {},
    stopped: { code: 1, err: /is not running/ },
  }],
  [["update", "--pids-limit", "100", "ID"], {
    missing: absent,
    created: {},
    running: {},
    paused: {},
    stopped: {
      code: 1,
      err: /not running|no such file|stopped/i,
      except: { runc: "runc changes what is left of its cgroup" },
    },
  }],
];

const matrix = outcomes.flatMap(([words, byState]) =>
  Object.entries(byState).map(([state, { except, then, ...expected }]): Case => ({
    name: `${words.filter((word) => word !== "ID").join(" ")} where the container is ${state}`,
    except,
    change: (spec) => spec.process.args = ["sleep", "100"],
    steps: [
      // The key is one of the table's.
      ...states[state as State],
      { call: words, ...expected },
      { until: (then ?? state) === "missing" ? "gone" : (then ?? state) as Exclude<State, "missing"> },
      ...(then ?? state) === "missing" ? [] : [{ call: ["delete", "--force", "ID"] }],
    ],
  }))
);

/** Words of a command line that are wrong in themselves, whatever there is. */
const usages: readonly [words: readonly string[], err: RegExp][] = [
  ...["create", "start", "state", "delete", "kill", "pause", "resume", "run", "ps", "events", "update"].map((
    command,
  ): [string[], RegExp] => [[command], new RegExp(`${command}\\\\?" requires`)]),
  [["exec"], /exec\\?" requires a minimum of 1 argument/],
  ...["create", "start", "state", "delete", "pause", "resume", "events", "update"].map((
    command,
  ): [string[], RegExp] => [[command, "ID", "another"], new RegExp(`${command}\\\\?" requires exactly 1 argument`)]),
  [["kill", "ID", "TERM", "another"], /kill\\?" requires a maximum of 2/],
  [["create", ""], /container ID|container id/],
];

/** Ids that name no container. */
const ids = ["..", ".", "a/b", "../up", "a b", "a\nb", "ä", "a:b", "/abs", "*", "x".repeat(300)];

/** Signals by name and number, and what a shell that traps them says. */
const signals: readonly [given: string, number: number][] = [
  ["TERM", 15],
  ["SIGTERM", 15],
  ["term", 15],
  ["sigusr1", 10],
  ["10", 10],
  ["USR2", 12],
  ["HUP", 1],
  ["INT", 2],
];

/** Performs the runtime's words twice at once, and prints both codes in order. */
const twice = ["sh", "-c", '"$@" & one=$!; "$@"; two=$?; wait $one; one=$?; (echo $one; echo $two) | sort', "sh"];

/** Repeats a command for at most 20 s, until it prints `null`. */
const untilNull = 'for n in $(seq 200); do out=$("$@"); test "$out" = null && break; sleep 0.1; done; echo "$out"';

/** Cases of commands and states. */
export const lifeCases: readonly Case[] = [
  ...matrix,
  ...usages.map(([words, err]): Case => ({
    name: `the words "${words.join(" ")}" are refused`,
    steps: [{ call: words, code: 1, err }, { until: "gone" }],
  })),
  ...ids.map((id): Case => ({
    name: `the id ${JSON.stringify(id.length > 20 ? `${id.slice(0, 3)}…` : id)} is refused`,
    steps: [
      { call: ["create", id], code: 1, err: /container ID|container id|file name too long/i },
      { call: ["delete", "--force", id], code: 1 },
    ],
  })),
  ...signals.map(([given, number]): Case => ({
    name: `the signal ${given} arrives`,
    change: (spec) =>
      spec.process.args = [
        "sh",
        "-c",
        "trap 'echo got; exit 9' $SIGNAL; touch /tmp/ready; while :; do sleep 0.02; done",
      ]
        .map((word) => word.replace("$SIGNAL", String(number))),
    steps: [
      { call: ["run", "-d", "ID"] },
      { file: "rootfs/tmp", holds: ready },
      { call: ["kill", "ID", given] },
      { until: "stopped" },
      { file: "out", holds: "got" },
      { call: ["delete", "ID"] },
    ],
  })),
  {
    name: "an unknown signal is refused",
    change: (spec) => spec.process.args = ["sleep", "100"],
    steps: [
      { call: ["run", "-d", "ID"] },
      { call: ["kill", "ID", "GALAXY"], code: 1, err: /unknown signal.*GALAXY/ },
      { call: ["kill", "ID", "999"], code: 1, err: /invalid argument/ },
      { call: ["delete", "--force", "ID"] },
    ],
  },
  {
    name: "the command runs at the start and not before",
    change: (spec) => spec.process.args = ["touch", "/ran"],
    steps: [
      { call: ["create", "ID"] },
      { host: ({ rootfs }) => mustNotExist(`${rootfs}/ran`) },
      { call: ["start", "ID"], out: "" },
      { until: "stopped" },
      { host: ({ rootfs }) => void Deno.statSync(`${rootfs}/ran`) },
      { call: ["delete", "ID"], out: "" },
    ],
  },
  {
    name: "changes of config.json after the creation have no effect",
    change: (spec) => spec.process.args = ["touch", "/ran"],
    steps: [
      { call: ["create", "ID"] },
      { host: ({ directory }) => Deno.writeTextFileSync(`${directory}/config.json`, "{}") },
      { call: ["start", "ID"] },
      { until: "stopped" },
      { host: ({ rootfs }) => void Deno.statSync(`${rootfs}/ran`) },
      { call: ["delete", "ID"] },
    ],
  },
  {
    name: "a bundle that is gone does not matter to a running container",
    change: (spec) => spec.process.args = ["sleep", "100"],
    steps: [
      { call: ["run", "-d", "ID"] },
      { host: ({ directory }) => Deno.removeSync(`${directory}/config.json`) },
      { call: ["state", "ID"], out: /"running"/ },
      { call: ["kill", "ID", "KILL"] },
      { until: "stopped" },
      { call: ["delete", "ID"] },
    ],
  },
  {
    name: "of two creations of one id at once, one succeeds",
    change: (spec) => spec.process.args = ["sleep", "100"],
    steps: [
      { call: ["create", "ID"], around: twice, out: "0\n1" },
      { until: "created" },
      { call: ["delete", "ID"] },
    ],
    except: { runc: "runc's second one may remove what the first has made" },
  },
  {
    name: "two deletions by force at once both succeed",
    change: (spec) => spec.process.args = ["sleep", "100"],
    steps: [{ call: ["run", "-d", "ID"] }, { call: ["delete", "--force", "ID"], around: twice, out: "0\n0" }, {
      until: "gone",
    }],
    except: { runc: "runc fails where the other one has removed a file in between" },
  },
  {
    name: "of two starts at once, one succeeds",
    change: (spec) => spec.process.args = ["sh", "-c", "echo ran >> /ran; exec sleep 100"],
    steps: [
      { call: ["create", "ID"] },
      { call: ["start", "ID"], around: twice, out: "0\n1" },
      { until: "running" },
      { file: "rootfs/ran", holds: "ran" },
      { call: ["delete", "--force", "ID"] },
    ],
    except: { runc: "runc's second start may wait for ever" },
  },
  {
    name: "an id can be used again",
    change: (spec) => spec.process.args = ["true"],
    steps: [{ call: ["run", "ID"] }, { call: ["run", "ID"] }, { call: ["create", "ID"] }, { call: ["delete", "ID"] }, {
      call: ["run", "ID"],
    }],
  },
  {
    name: "--keep keeps a container that has ended",
    change: (spec) => spec.process.args = ["true"],
    steps: [{ call: ["run", "--keep", "ID"] }, { call: ["state", "ID"], out: /"stopped"/ }, { call: ["delete", "ID"] }],
    except: { runc: "runc 1.1 does not know it before 1.1.6" },
  },
  {
    name: "kill --all reaches what init has left behind in a shared pid namespace",
    change: (spec) => {
      spec.process.args = ["sh", "-c", "sleep 100 & exec sleep 101"];
      spec.linux.namespaces = spec.linux.namespaces!.filter(({ type }) => type !== "pid");
    },
    steps: [
      { call: ["run", "-d", "ID"] },
      { call: ["kill", "--all", "ID", "KILL"] },
      { until: "stopped" },
      // The others end when they are run next, which on a busy machine is later.
      { call: ["ps", "--format", "json", "ID"], out: "null", around: ["sh", "-c", untilNull, "sh"] },
      { call: ["delete", "ID"] },
    ],
  },
  {
    name: "delete ends what is left in a shared pid namespace",
    change: (spec) => {
      spec.process.args = ["sh", "-c", "sleep 100 & touch /tmp/ready"];
      spec.linux.namespaces = spec.linux.namespaces!.filter(({ type }) => type !== "pid");
    },
    steps: [{ call: ["run", "-d", "ID"] }, { until: "stopped" }, { call: ["delete", "--force", "ID"] }],
  },
];

/** A directory cannot be read as text: what is waited for is looked for beside it. */
function ready(_text: string, { rootfs }: { rootfs: string }): void {
  Deno.statSync(`${rootfs}/tmp/ready`);
}
