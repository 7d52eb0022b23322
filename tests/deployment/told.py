"""What a deployment tells of its sessions: the table's stream, the deployed function, EventBridge, and a queue that listens."""

import json
from contextlib import contextmanager

import jsonschema
from cloud import until
from template import ROOT

UNREADABLE = "stream record unreadable"
# No event may hold what a token is made of, or its item alone may know.
SECRET_ATTRIBUTES = ("gid", "parent", "attempt")


class Listener:
    """Hears all that the functions tell EventBridge."""

    def __init__(self, cloud, functions):
        self.cloud, self.functions = cloud, functions
        self.queues, self.heard = cloud.client("sqs"), []
        self.queue = self.queues.create_queue(QueueName="told")["QueueUrl"]
        arn = self.queues.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        bus = cloud.client("events")
        bus.put_rule(Name="told", EventPattern=json.dumps({"source": ["rondo"]}))
        bus.put_targets(Rule="told", Targets=[{"Id": "queue", "Arn": arn}])

    def hear(self):
        """Everything so far; each event is of its kind's schema."""
        for body in self.received(self.queue):
            event = json.loads(body)
            hold_to_schema(event)
            self.heard.append(event)
        return self.heard

    def received(self, queue):
        while messages := self.queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                yield message["Body"]
                self.queues.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    @contextmanager
    def deaf(self, logged):
        """A bus that takes nothing for as long as this lasts: what happens meanwhile is told later."""
        access = self.cloud.client("iam")
        role = self.functions["Events"]["Role"].rsplit("/", 1)[-1]
        statement = {"Effect": "Deny", "Action": "events:PutEvents", "Resource": "*"}
        access.put_role_policy(RoleName=role, PolicyName="deaf",
                               PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        yield
        until(lambda: logged("Events", "was not published and will be tried again"), "events that were not published")
        if self.hear():
            raise AssertionError("events came through a bus that takes none")
        access.delete_role_policy(RoleName=role, PolicyName="deaf")

    def has_told(self, ended, revoked, table):
        """Each story, whole: no more of a session than this, and no secret of it.

        `ended` are the families (tenant and id) of which a replay was the end, `revoked` those that a backend ended."""
        wanted = {
            **{family: {("session opened", None), ("reissued to another client", None), ("session ended", "reuse"),
                        ("reuse detected", None)} for family in ended},
            **{family: {("session opened", None), ("session ended", "sign_out")} for family in revoked},
        }

        def told():
            found = {family: set() for family in wanted}
            for event in self.hear():
                detail = event["detail"]
                if (family := (detail.get("tenant"), detail.get("family"))) in found:
                    found[family].add((event["detail-type"], detail.get("cause")))
            return found

        until(lambda: all(kinds <= told()[family] for family, kinds in wanted.items()), f"the events of {wanted}")
        if told() != wanted:
            raise AssertionError(f"other events than the stories': {told()}, not {wanted}")
        ids = {event["detail"]["id"] for event in self.heard}
        self.hold_no_secret(table)
        print(f"{len(ids)} things told in {len(self.heard)} events of {len(wanted)} sessions: of their schemas, without a secret",
              flush=True)

    def hold_no_secret(self, table):
        told = json.dumps(self.heard)
        pages = self.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=table)
        items = [item for page in pages for item in page["Items"] if item["pk"]["S"].startswith("FAMILY#")]
        secrets = {item[name]["S"] for item in items for name in SECRET_ATTRIBUTES if name in item}
        # Of a token each part: its claims, and its signature.
        secrets |= {part for token in self.cloud.tokens for part in token.split(".")}
        if len(secrets) < len(items) or any(secret in told for secret in secrets):
            raise AssertionError(f"an event holds one of {len(secrets)} secrets")

    def unreadable(self, queue, table):
        """A record that nobody understands ends in the queue of what was not told, and holds up nothing."""
        key = {"pk": {"S": "FAMILY#uniqos#01JD0000000000000000000000"}, "sk": {"S": "SEAL"}}
        self.cloud.client("dynamodb").put_item(TableName=table, Item={**key, "cause": {"S": "boredom"}})
        found = []

        def arrived():
            found.extend(map(json.loads, self.received(queue)))
            return found

        until(arrived, "the record in the queue of what was not told")
        hold_to_schema(found[0])
        seen = [(event["detail-type"], event["detail"]["sk"]) for event in found]
        if set(seen) != {(UNREADABLE, "SEAL")}:
            raise AssertionError(f"in the queue of what was not told: {seen}")


def hold_to_schema(event):
    schema = json.loads((ROOT / f"infra/events/{event['detail-type'].replace(' ', '-')}.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(event["detail"])
