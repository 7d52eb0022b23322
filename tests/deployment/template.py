"""The template as CloudFormation gets it: SAM's transform applied, intrinsics resolved as far as they can be.

What only a deployment knows (an ARN, an address) is made up from the resource's logical name, and is the same wherever the
template names it.
"""

import json
import logging
import os
import re
from pathlib import Path

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
# The transform counts its own calls, and complains that nobody collects the figures.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

from samtranslator.parser.parser import Parser  # noqa: E402  (reads the region when it is imported)
from samtranslator.translator.translator import Translator  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
REGION, ACCOUNT = "us-east-1", "123456789012"
PSEUDO = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::StackName": "rondo",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/rondo/id",
}
# All that may stand in front, with what it needs.
FRONTS = {"FunctionUrls": "true", "RestApi": "true", "CloudFront": "true", "DomainName": "auth.example.com",
          "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/c", "HostedZoneId": "Z123"}
ABSENT = object()


class Template:
    """A template with values for its parameters."""

    def __init__(self, path="template.yaml", **parameters):
        self.folder = (ROOT / path).parent
        self.source = yaml_parse((ROOT / path).read_text())
        self.parameters = {name: str(spec["Default"]) for name, spec in self.source.get("Parameters", {}).items()
                           if "Default" in spec}
        self.parameters.update(parameters)
        self.nested = {}
        source = yaml_parse((ROOT / path).read_text())
        if "Transform" in source:
            # The transform wants the code where `sam package` would have put it.
            source["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
            source = Translator({}, Parser()).translate(source, parameter_values=dict(self.parameters))
        self.template = source
        # Which combinations of parameters CloudFormation refuses.
        self.rules = source.get("Rules", {})
        self.resources = {name: resource for name, resource in source["Resources"].items()
                          if "Condition" not in resource or self.condition(resource["Condition"])}

    def of_type(self, kind):
        """The resources of one type: their properties, resolved, by logical name."""
        return {name: self.resolve(resource.get("Properties", {})) for name, resource in self.resources.items()
                if resource["Type"] == kind}

    def condition(self, name):
        return self.test(self.template["Conditions"][name])

    def test(self, expression):
        (function, operands), = expression.items()
        if function == "Condition":
            return self.condition(operands)
        if function == "Fn::Equals":
            left, right = (str(self.resolve(operand)) for operand in operands)
            return left == right
        if function == "Fn::Contains":
            return str(self.resolve(operands[1])) in self.resolve(operands[0])
        results = [self.test(operand) for operand in operands]
        return {"Fn::Not": not results[0], "Fn::And": all(results), "Fn::Or": any(results)}[function]

    def resolve(self, value):
        """`value` without intrinsics."""
        if isinstance(value, list):
            return [inner for inner in map(self.resolve, value) if inner is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, operand), = value.items()
            if name == "Ref":
                return self.ref(operand)
            if name.startswith("Fn::"):
                return self.intrinsic(name, operand)
        resolved = {name: self.resolve(inner) for name, inner in value.items()}
        return {name: inner for name, inner in resolved.items() if inner is not ABSENT}

    def ref(self, name):
        if name == "AWS::NoValue":
            return ABSENT
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            value = self.parameters[name]
            return value.split(",") if self.source["Parameters"][name]["Type"] == "CommaDelimitedList" else value
        kind = self.template["Resources"][name]["Type"]
        properties = self.template["Resources"][name].get("Properties", {})
        if kind == "AWS::SecretsManager::Secret":
            return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}"
        if kind == "AWS::Logs::LogGroup":
            return self.resolve(properties["LogGroupName"])
        if kind == "AWS::DynamoDB::Table":
            return self.resolve(properties["TableName"])
        if kind == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"
        return name

    def intrinsic(self, function, operand):
        if function == "Fn::If":
            return self.resolve(operand[1] if self.condition(operand[0]) else operand[2])
        if function == "Fn::GetAtt":
            name, attribute = operand.split(".", 1) if isinstance(operand, str) else operand
            return self.attribute(name, attribute)
        if function == "Fn::Sub":
            text, given = operand if isinstance(operand, list) else (operand, {})
            given = self.resolve(given)
            return re.sub(r"\$\{([^!}]+)\}", lambda found: str(self.named(found[1], given)), text)
        if function == "Fn::Join":
            return operand[0].join(str(part) for part in self.resolve(operand[1]))
        if function == "Fn::Select":
            return self.resolve(operand[1])[int(operand[0])]
        if function == "Fn::Split":
            return self.resolve(operand[1]).split(operand[0])
        raise NotImplementedError(f"{function}: teach it to tests/deployment/template.py")

    def named(self, name, given):
        if name in given:
            return given[name]
        return self.attribute(*name.split(".", 1)) if "." in name else self.ref(name)

    def attribute(self, name, attribute):
        resource = self.template["Resources"][name]
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind == "AWS::CloudFormation::Stack":
            nested = self.stack(name)
            return nested.resolve(nested.template["Outputs"][attribute.removeprefix("Outputs.")]["Value"])
        if kind == "AWS::Logs::LogGroup" and attribute == "Arn":
            return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{self.ref(name)}:*"
        if kind == "AWS::DynamoDB::Table":
            table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self.resolve(properties['TableName'])}"
            return table if attribute == "Arn" else f"{table}/stream/2026-11-22T00:00:00.000"
        service = kind.split("::")[1].lower()
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}" if attribute == "Arn" else f"{name}.{attribute}"

    def stack(self, name):
        """A nested stack, with the parameters that this template gives it."""
        if name not in self.nested:
            properties = self.template["Resources"][name]["Properties"]
            path = (self.folder / properties["TemplateURL"]).relative_to(ROOT)
            given = {key: str(self.resolve(value)) for key, value in properties.get("Parameters", {}).items()}
            self.nested[name] = Template(path, **given)
        return self.nested[name]

    def refusals(self):
        """What CloudFormation says of parameters that do not go together, before it touches anything."""
        return [assertion["AssertDescription"] for rule in self.rules.values() if self.test(rule["RuleCondition"])
                for assertion in rule["Assertions"] if not self.test(assertion["Assert"])]

    def environment(self, function):
        """A function's environment variables."""
        return self.of_type("AWS::Lambda::Function")[function].get("Environment", {}).get("Variables", {})


def refuses(parameter, value):
    """Whether CloudFormation refuses `value` for a parameter of template.yaml, before it touches anything."""
    if "AllowedValues" in parameter and value not in map(str, parameter["AllowedValues"]):
        return True
    if "AllowedPattern" in parameter and not re.fullmatch(parameter["AllowedPattern"], value):
        return True
    if parameter["Type"] != "Number":
        return False
    try:
        number = float(value)
    except ValueError:
        return True
    return not parameter.get("MinValue", number) <= number <= parameter.get("MaxValue", number)


def plain(value):
    """For messages."""
    return json.dumps(value, indent=2, default=str)
