/**
 * What an event must be before anybody hears of it, in containerd's words.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import type { Envelope } from "../../api/gen/types/event.ts";
import { checkIdentifier } from "../../api/identifier.ts";
import { zeroTime } from "../../api/timestamp.ts";

/** Throws `InvalidArgument` where the topic is not `/name` or `/name/name…`. */
export function checkTopic(topic: string): void {
  const fail = (reason: string, cause?: unknown) =>
    new Failure("InvalidArgument", `envelope topic ${JSON.stringify(topic)}: ${reason}`, { cause });
  if (topic === "") throw fail("must not be empty");
  if (!topic.startsWith("/")) throw fail("must start with '/'");
  if (topic === "/") throw fail("must have at least one component");
  for (const component of topic.slice(1).split("/")) {
    checkedWithin(
      component,
      (reason, error) => fail(`failed validation on component ${JSON.stringify(component)}: ${reason}`, error),
    );
  }
}

/** Throws `InvalidArgument` where an envelope that came from elsewhere lacks namespace, topic or time. */
export function checkEnvelope({ namespace, topic, timestamp }: Envelope): void {
  checkedWithin(
    namespace,
    (reason, error) =>
      new Failure("InvalidArgument", `event envelope has invalid namespace: ${reason}`, { cause: error }),
  );
  checkTopic(topic);
  // Go's zero time is the year 1, and so is a missing one.
  if (timestamp === undefined || (timestamp.seconds === zeroTime.seconds && timestamp.nanos === 0)) {
    throw new Failure("InvalidArgument", "timestamp must be set on forwarded event");
  }
}

function checkedWithin(identifier: string, wrap: (reason: string, error: unknown) => Failure): void {
  try {
    checkIdentifier(identifier);
  } catch (error) {
    throw wrap(messageOf(error), error);
  }
}
