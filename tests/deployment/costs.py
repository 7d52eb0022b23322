"""What a stack costs in a month in which nobody calls it, counted in the template, at the prices that infra/deploying.md names."""

from template import Template

# USD a month, as AWS publishes them for us-east-1.
SECRET, ALARM_METRIC, DASHBOARD = 0.40, 0.10, 3.00


def alarms(template):
    """Each alarm, and how many metrics it is charged for: all that an expression is over."""
    stack = template.stack("Observability") if "Observability" in template.resources else None
    found = stack.of_type("AWS::CloudWatch::Alarm") if stack else {}
    return {name: sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1 for name, alarm in found.items()}


def idle(template):
    """What is charged for, how many of it, and what they cost."""
    dashboards = len(template.stack("Observability").of_type("AWS::CloudWatch::Dashboard")) if alarms(template) else 0
    counted = {
        "secrets": (len(template.of_type("AWS::SecretsManager::Secret")), SECRET),
        "metrics of alarms": (sum(alarms(template).values()), ALARM_METRIC),
        "dashboards": (dashboards, DASHBOARD),
    }
    return {what: (count, count * price) for what, (count, price) in counted.items()}


def total(template):
    return sum(cost for _, cost in idle(template).values())


def told(template=None):
    """One line of it."""
    template = template or Template()
    parts = ", ".join(f"{what} {count}: {cost:.2f}" for what, (count, cost) in idle(template).items())
    return f"idle, {len(alarms(template))} alarms and all: {total(template):.2f} USD a month ({parts})"


if __name__ == "__main__":
    print(told())
