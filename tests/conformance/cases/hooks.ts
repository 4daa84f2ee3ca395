/**
 * Hooks: order, state, failures. More of them is tested beside (`tests/oci/hooks_test.ts`).
 *
 * @module
 */
import type { Hook } from "../../../api/oci/runtime_spec.ts";
import { type Case, mustNotExist, refused } from "../case.ts";

const shell = (script: string, more: Partial<Hook> = {}): Hook => ({
  path: "/bin/sh",
  args: ["sh", "-c", script],
  ...more,
});

const places = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];

/** Cases of `hooks`. */
export const hookCases: readonly Case[] = [
  {
    name: "hooks run in their order, each list in its own",
    change: (spec, { directory }) => {
      spec.process.args = ["true"];
      spec.hooks = Object.fromEntries(
        places.map((
          place,
        ) => [place, [1, 2].map((one) => shell(`cat > /dev/null; echo ${place}${one} >> ${directory}/marks`))]),
      );
    },
    steps: [{ call: ["run", "ID"] }, {
      file: "marks",
      holds: places.flatMap((place) => [`${place}1`, `${place}2`]).join("\n"),
    }],
  },
  ...places.map((place): Case => ({
    name: `${place} gets the state of the container`,
    change: (spec, { directory }) => {
      spec.process.args = ["true"];
      spec.annotations = { "org.example": "1" };
      spec.hooks = { [place]: [shell(`cat > ${directory}/state`)] };
    },
    steps: [
      { call: ["run", "ID"] },
      {
        file: "state",
        holds: (text, { id, directory }) => {
          const state = JSON.parse(text);
          const wrong = state.id !== id || state.bundle !== directory || state.annotations?.["org.example"] !== "1" ||
            typeof state.ociVersion !== "string" || (place !== "poststop" && !(state.pid > 0));
          if (wrong) throw new Error(text);
        },
      },
    ],
  })),
  ...["prestart", "createRuntime", "createContainer"].map((place) =>
    refused(`${place} that fails refuses the container`, (spec) => {
      spec.hooks = { [place]: [shell("echo why >&2; exit 3")] };
    }, /hook.*exit status 3.*why/s)
  ),
  refused("a hook that a signal ends refuses the container", (spec) => {
    spec.hooks = { createRuntime: [shell("kill -TERM $$")] };
  }, /hook.*signal/),
  refused("a hook that does not exist refuses the container", (spec) => {
    spec.hooks = { prestart: [{ path: "/no/such/hook" }] };
  }, /\/no\/such\/hook/),
  refused("a hook that cannot be executed refuses the container", (spec, { directory }) => {
    spec.hooks = { createRuntime: [{ path: `${directory}/config.json` }] };
  }, /permission denied/),
  refused("a hook that hangs is ended after its time", (spec) => {
    spec.hooks = { createRuntime: [shell("exec sleep 100", { timeout: 1 })] };
  }, /hook ran past specified timeout of 1\.0s/),
  refused(
    "a timeout of zero is refused",
    (spec) => {
      spec.hooks = { createRuntime: [shell("true", { timeout: 0 })] };
    },
    /timeout/,
    { except: { runc: "runc 1.1 takes it for a time that is over" } },
  ),
  refused("a relative path of a hook is refused", (spec) => {
    spec.hooks = { createRuntime: [{ path: "bin/true" }] };
  }, /bin\/true/),
  {
    name: "a hook without variables has the runtime's own",
    change: (spec, { directory }) => {
      spec.process.args = ["true"];
      spec.hooks = { createRuntime: [shell(`echo $GIVEN > ${directory}/seen`)] };
    },
    steps: [{ call: ["run", "ID"], env: { GIVEN: "by the caller" } }, { file: "seen", holds: "by the caller" }],
  },
  {
    name: "a hook's variables are its own alone",
    change: (spec, { directory }) => {
      spec.process.args = ["true"];
      spec.hooks = { createRuntime: [shell(`echo $GIVEN$OWN > ${directory}/seen`, { env: ["OWN=own"] })] };
    },
    steps: [{ call: ["run", "ID"], env: { GIVEN: "by the caller" } }, { file: "seen", holds: "own" }],
  },
  {
    name: "a poststop hook that fails does not keep the container",
    change: (spec) => {
      spec.process.args = ["true"];
      spec.hooks = { poststop: [shell("exit 1")] };
    },
    steps: [{ call: ["create", "ID"] }, { call: ["delete", "ID"] }, { until: "gone" }],
  },
  {
    name: "a startContainer hook that fails keeps the command from running",
    change: (spec) => {
      spec.process.args = ["touch", "/ran"];
      spec.hooks = { startContainer: [shell("exit 1")] };
    },
    steps: [
      { call: ["create", "ID"] },
      { call: ["start", "ID"], code: 1 },
      { until: "stopped" },
      { host: ({ rootfs }) => mustNotExist(`${rootfs}/ran`) },
      { call: ["delete", "ID"] },
    ],
    except: { runc: "runc's start does not wait for them" },
  },
];
