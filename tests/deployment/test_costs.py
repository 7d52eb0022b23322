"""What a stack is charged for while nobody calls it is what the documents say."""

import re
import unittest

from costs import alarms, idle, total
from template import FRONTS, ROOT, Template

WORDS = {11: "eleven", 12: "twelve"}


def said(path):
    """A document without its line breaks."""
    return " ".join((ROOT / path).read_text().split())


class Costs(unittest.TestCase):
    readme, deploying = said("README.md"), said("infra/deploying.md")

    def test_the_documents_count_the_alarms_and_their_metrics(self):
        by_default, with_rest = alarms(Template()), alarms(Template(RestApi="true"))
        self.assertEqual(with_rest.keys() - by_default.keys(), {"RestServerErrors"})
        count, metrics = len(by_default), sum(by_default.values())
        self.assertIn(f"a dashboard and {WORDS[count]} alarms, {WORDS[len(with_rest)]} with a REST API", self.readme)
        for document in (self.readme, self.deploying):
            self.assertIn(f"{WORDS[count]} alarms over {metrics} metrics", document)
        more = [sum(alarms(Template(**given)).values()) - metrics for given in ({"RestApi": "true"}, {"KeyRotationDays": "90"})]
        self.assertIn(f"{more[0]} metrics more with `RestApi=true`, {more[1]} more with `KeyRotationDays`", self.deploying)

    def test_the_documents_add_up_what_an_idle_stack_costs(self):
        template = Template()
        costs = {what: cost for what, (_, cost) in idle(template).items()}
        self.assertEqual([count for count, _ in idle(template).values()], [1, sum(alarms(template).values()), 1])
        for document in (self.readme, self.deploying):
            self.assertIn(f"{total(template):.2f} USD a month", document)
            self.assertIn(f"{costs['metrics of alarms']:.2f}", document)
        self.assertEqual(idle(Template(**FRONTS))["secrets"][0], 2)

    def test_an_empty_namespace_leaves_the_secret_alone_to_be_paid_for(self):
        without = Template(MetricsNamespace="")
        self.assertEqual({what: count for what, (count, _) in idle(without).items()},
                         {"secrets": 1, "metrics of alarms": 0, "dashboards": 0})
        for function in without.of_type("AWS::Lambda::Function"):
            # Without one no log line is a metric.
            self.assertEqual(without.environment(function)["METRICS_NAMESPACE"], "")
        self.assertIn(f"leaves {total(without):.2f} USD a month", self.deploying)

    def test_no_gateway_makes_metrics_by_route_that_nothing_looks_at(self):
        # Each of them is charged for as a metric of one's own.
        template = Template(**FRONTS)
        (http,) = template.of_type("AWS::ApiGatewayV2::Stage").values()
        (rest,) = template.stack("RestApiStack").of_type("AWS::ApiGateway::Stage").values()
        for settings in (http["DefaultRouteSettings"], *rest["MethodSettings"]):
            self.assertIn("ThrottlingRateLimit", settings)
            self.assertFalse(settings.keys() & {"DetailedMetricsEnabled", "MetricsEnabled"})

    def test_every_price_that_is_added_up_is_in_the_document(self):
        for price in ("0.40 USD a month for a secret", "0.10 USD a month for each metric of an alarm",
                      "3.00 USD a month for a dashboard", "0.30 USD a month for a metric"):
            self.assertIn(price, self.deploying)
        self.assertFalse(re.search(r"idle stack costs (the|its) secret", self.readme + self.deploying))


if __name__ == "__main__":
    unittest.main()
