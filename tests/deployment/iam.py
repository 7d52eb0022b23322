"""Whether IAM allows a call: identity policies as AWS evaluates them, for the operators that the template uses.

Another operator is an error, not a guess. A key that the request does not have makes an operator false, but `ForAllValues:`
true (there is no value that fails), which is why each such condition stands beside `Null: false`.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

import re


def listed(value):
    return value if isinstance(value, list) else [value]


def like(pattern, text, case=True):
    """`*` is any text, `?` any one character; nothing else is special."""
    translated = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(translated, text, re.DOTALL if case else re.DOTALL | re.IGNORECASE) is not None


OPERATORS = {
    "StringEquals": lambda wanted, text: wanted == text,
    "StringLike": like,
    "ArnLike": like,
    "ArnEquals": like,
    "Bool": lambda wanted, text: str(wanted).lower() == text.lower(),
}


def fits(operator, wanted, values):
    """One operator and one key: `values` are the request's, None where it has none."""
    if operator == "Null":
        return all((str(want).lower() == "true") == (not values) for want in listed(wanted))
    quantifier, _, name = operator.rpartition(":")
    if name not in OPERATORS or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise NotImplementedError(f"{operator}: teach it to tests/deployment/iam.py")
    one_fits = lambda value: any(OPERATORS[name](want, value) for want in listed(wanted))  # noqa: E731
    if quantifier == "ForAllValues":
        return all(map(one_fits, values or []))
    return any(map(one_fits, values or []))


def applies(statement, action, resource, context):
    keys = {key.lower(): values for key, values in context.items()}
    if any(element in statement for element in ("NotAction", "NotResource", "Principal", "NotPrincipal")):
        raise NotImplementedError("write what is allowed, not what is not")
    return (
        any(like(pattern, action, case=False) for pattern in listed(statement["Action"]))
        and any(like(pattern, resource) for pattern in listed(statement["Resource"]))
        and all(
            fits(operator, wanted, keys.get(key.lower()))
            for operator, conditions in statement.get("Condition", {}).items()
            for key, wanted in conditions.items()
        )
    )


def allows(statements, action, resource, **context):
    """Whether the statements allow the call: one allows it and none denies it. `context` has lists, by key."""
    effects = {s["Effect"] for s in statements if applies(s, action, resource, context.get("context", {}))}
    return effects == {"Allow"}
