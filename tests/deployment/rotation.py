"""Keys that rotate by themselves: the deployed function, called as its schedule calls it, under its own role."""

import json

# Longer ago than any key signs, and than any token lives.
LONG_AGO = "2025-01-01T00:00:00Z"


class Rotation:
    def __init__(self, cloud, function, secret):
        self.cloud, self.function, self.secret = cloud, function, secret

    def scheduled(self):
        """What the schedule calls, and how often."""
        scheduler = self.cloud.client("scheduler")
        (found,) = [scheduler.get_schedule(Name=one["Name"]) for one in scheduler.list_schedules()["Schedules"]]
        called = (found["ScheduleExpression"], found["State"], found["Target"]["Arn"])
        if called != ("rate(1 day)", "ENABLED", self.function["FunctionArn"]):
            raise AssertionError(f"what is scheduled is {called}")

    def ring(self):
        stored = self.cloud.client("secretsmanager").get_secret_value(SecretId=self.secret)
        return json.loads(stored["SecretString"])

    def states(self):
        """How many keys of a product are in each state; the same of every product, and of both kinds."""
        (found,) = {tuple(sorted(key["state"] for key in keys)) for product in self.ring()["products"].values()
                    for keys in (product["signing"], product["mac"])}
        return found

    def run(self, *wanted):
        """One run of the function, which leaves keys in the states that are wanted."""
        answer = self.cloud.client("lambda").invoke(FunctionName=self.function["FunctionName"], Payload=b"{}")
        if "FunctionError" in answer or answer["StatusCode"] != 200:
            raise AssertionError(f"the rotation failed: {answer['Payload'].read()[:300]}")
        if self.states() != wanted:
            raise AssertionError(f"the rotation left keys {self.states()}, not {wanted}")

    def does_nothing(self):
        before = self.ring()
        self.run(*self.states())
        if self.ring() != before:
            raise AssertionError("the rotation took a step before its time")

    def age(self, state, *times):
        """Has the keys in a state be as old as they have to be for the next step."""
        ring = self.ring()
        for product in ring["products"].values():
            for key in (*product["signing"], *product["mac"]):
                if key["state"] == state:
                    key.update(dict.fromkeys(times, LONG_AGO))
        self.cloud.client("secretsmanager").put_secret_value(SecretId=self.secret, SecretString=json.dumps(ring))
