"""What each function may do, as a table: `python tests/deployment/policies.py` writes infra/policies.md from the template.

The table is asked of the policies, call by call, not read off them: so two ways to write the same permission make the same
table, and whatever widens a role makes another.
"""

import sys

from iam import allows, listed
from template import ACCOUNT, REGION, ROOT, Template

TABLE = ROOT / "infra/policies.md"
PRODUCTS = ("uniqos", "dreadnode", "elastic", "replyke")
# What a table can be asked, and how a stack could be harmed with it.
READS = ("GetItem", "Query", "ConditionCheckItem", "BatchGetItem", "Scan", "PartiQLSelect")
WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete")
CONTROL = (
    "DescribeTable", "UpdateTable", "DeleteTable", "UpdateTimeToLive", "UpdateContinuousBackups", "CreateBackup",
    "RestoreTableToPointInTime", "ExportTableToPointInTime", "PutResourcePolicy", "DescribeStream", "GetRecords",
    "GetShardIterator", "ListStreams",
)
SECRETS = ("GetSecretValue", "DescribeSecret", "PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage",
           "DeleteSecret", "PutResourcePolicy", "RotateSecret", "ListSecretVersionIds")
# One key of each kind and tenant, spelled as shared/src/store/keys.rs does; the last tenant is nobody's.
FAMILY = "01JD0000000000000000000000"
KEYS = {
    **{f"{kind}#{tenant}#": f"{kind}#{tenant}#{FAMILY}" for kind in ("FAMILY", "USER", "ORG")
       for tenant in ("uniqos", "dreadnode", "elastic", "replyke:p", "another")},
    **{f"PROJECT#{tenant}": f"PROJECT#{tenant}" for tenant in ("replyke:p", "another:p")},
    **{f"RATE#{product}-": f"RATE#{product}-user#0123" for product in (*PRODUCTS, "another")},
    "WARM": "WARM",
    "another kind": "ANOTHER#1",
}


class Role:
    """A function's role: every statement that it has, its own and those of AWS's managed policies."""

    def __init__(self, template, function):
        self.function = function
        resources = template.of_type("AWS::Lambda::Function")
        self.name = resources[function]["Role"].rsplit(":", 1)[-1]
        role = template.of_type("AWS::IAM::Role")[self.name]
        self.trust = role["AssumeRolePolicyDocument"]["Statement"]
        self.managed = role.get("ManagedPolicyArns", [])
        documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
        self.statements = [statement for document in documents for statement in listed(document["Statement"])]
        self.environment = resources[function].get("Environment", {}).get("Variables", {})

    def may(self, action, resource, keys=None):
        # What the request says of itself, where a policy asks for it.
        context = {"events:source": ["rondo"]}
        if keys is not None:
            context["dynamodb:LeadingKeys"] = listed(keys)
        return allows(self.statements, action, resource, context=context)


def widest():
    """The template with every function that it may have."""
    return Template(KeyRotationDays="90")


def roles(template):
    """Every function's role, by the function's logical name."""
    return {name: Role(template, name) for name in sorted(template.of_type("AWS::Lambda::Function"))}


def places(template):
    """What a call may be made on, by the name that the table shows."""
    table = template.attribute("Table", "Outputs.TableArn")
    stream = template.attribute("Table", "Outputs.StreamArn")
    keyring = template.ref("Keyring")
    return {"the table": table, "an index": f"{table}/index/any", "its stream": stream, "another table": f"{table}-2",
            "the keyring": keyring, "another secret": f"{keyring}-2"}


def shown(resource):
    """An ARN without what is the same in each."""
    return f"`{resource.split(':', 2)[-1].replace(f':{REGION}:{ACCOUNT}', '')}`"


def rows(template):
    """Function, action, what it is on, and the leading keys: everything that is allowed."""
    found = []
    known = places(template)
    asked = {f"dynamodb:{action}" for action in (*READS, *WRITES, *CONTROL)}
    asked |= {f"secretsmanager:{action}" for action in SECRETS}
    for name, role in roles(template).items():
        named = {action for statement in role.statements for action in listed(statement["Action"])}
        # Whatever else a statement names is asked of the very resources that it names.
        own = {shown(resource): resource for statement in role.statements for resource in listed(statement["Resource"])}
        on = {**{place: resource for place, resource in own.items() if resource not in known.values()}, **known}
        for action in sorted(asked | named):
            for place, resource in on.items():
                if role.may(action, resource):
                    found.append((name, action, place, "any"))
                    continue
                keys = [shown for shown, key in KEYS.items() if role.may(action, resource, key)]
                if keys:
                    found.append((name, action, place, ", ".join(f"`{key}`" for key in keys)))
    return found


def document(template):
    lines = [
        "# What each function may do",
        "",
        "Written by `make policies` from `template.yaml`; a test fails where the two differ, and so when a role widens. Every call",
        "was asked of the role as IAM evaluates it, for a key of each kind and tenant (`replyke:p` is one of Replyke's projects;",
        "`another` is nobody's). What is not here is denied: deletes, scans, batches, PartiQL, other tables, other products' keys.",
        "",
        "| function | action | on | leading keys |",
        "|---|---|---|---|",
    ]
    previous = None
    for name, action, place, keys in rows(template):
        lines.append(f"| {name if name != previous else ''} | {action} | {place} | {keys} |")
        previous = name
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(document(widest()))
    print(f"wrote {TABLE.relative_to(ROOT)}", file=sys.stderr)
