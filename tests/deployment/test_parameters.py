"""Which values the template refuses, each by itself and together with others, before anything is deployed."""

import unittest

from template import FRONTS, Template, refuses


class Parameters(unittest.TestCase):
    """Bad values are refused by CloudFormation at the parameter, before it touches anything."""

    parameters = Template().source["Parameters"]

    def refused(self, name, *values):
        for value in values:
            self.assertTrue(refuses(self.parameters[name], value), f"{name}={value} is not refused")

    def taken(self, name, *values):
        for value in values:
            self.assertFalse(refuses(self.parameters[name], value), f"{name}={value} is refused")

    def test_every_default_is_taken_and_every_parameter_is_described_and_bounded(self):
        for name, parameter in self.parameters.items():
            self.taken(name, str(parameter["Default"]))
            # A sentence, or an example at its end.
            self.assertRegex(parameter["Description"], r"^[A-Z].*(\.|, such as \S+)$", name)
            bounds = {"MinValue", "AllowedValues"} if parameter["Type"] == "Number" else {"AllowedPattern", "AllowedValues"}
            self.assertTrue(bounds & parameter.keys(), f"{name} takes anything")

    def test_a_grace_window_above_its_maximum(self):
        for product in ("Uniqos", "Dreadnode", "Replyke"):
            self.refused(f"{product}GraceSecs", "61", "-1", "long")
            self.taken(f"{product}GraceSecs", "0", "60")
        self.refused("ElasticGraceSecs", "301")
        self.taken("ElasticGraceSecs", "300")

    def test_a_cookie_domain_is_a_domain(self):
        for product in ("Uniqos", "Replyke"):
            name = f"{product}CookieDomain"
            self.taken(name, "", "example.com", "app.example.co.uk")
            self.refused(name, ".example.com", "Example.com", "com", "192.0.2.1", "example.com:443", "https://example.com",
                         "example.com; Path=/")

    def test_an_origin_with_a_path_or_a_wildcard(self):
        for product in ("Uniqos", "Dreadnode", "Elastic", "Replyke"):
            name = f"{product}AllowedOrigins"
            self.refused(name, "https://app.example.com/", "https://app.example.com/path", "*", "https://*.example.com",
                         "app.example.com", "https://a.example.com, https://b.example.com", "https://a.example.com,")
            self.taken(name, "", "https://app.example.com", "http://localhost:3000,https://app.example.com")

    def test_instants_secrets_and_names_of_another_form(self):
        self.refused("SessionsNotBefore", "yesterday", "2026-11-22", "2026-11-22T10:00:00+01:00")
        self.taken("SessionsNotBefore", "2026-11-22T10:00:00Z")
        self.refused("ReuseAmnesty", "2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z/now")
        self.taken("ReuseAmnesty", "2026-11-22T10:00:00Z/2026-11-22T10:30:00Z")
        self.refused("FrontDoorSecret", "short", "a" * 31, "with a space in it and long enough, as it seems")
        self.refused("TableName", "", "a b", "a/b")
        self.refused("JwksPublicUrl", "http://auth.example.com", "https://auth.example.com?x")
        self.refused("WebAclArn", "arn:aws:wafv2:us-east-1:123456789012:regional/ipset/x/y")
        # Secrets Manager ends a secret's ARN with six characters, and a policy with less allows nothing.
        self.refused("ExistingKeyringArn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:rondo-keyring")
        self.taken("ExistingKeyringArn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:rondo-keyring-a1B2c3")
        self.refused("SessionsPerUserMax", "0", "1001", "many")
        self.taken("SessionsPerUserMax", "1", "1000")
        self.refused("Architecture", "riscv")

    def test_a_table_less_warm_than_dynamodb_makes_one(self):
        self.refused("TableWarmReads", "", "-1", "1", "4000", "11999", "012000", "1000001", "9999999")
        self.taken("TableWarmReads", "0", "12000", "19999", "20000", "99999", "100000", "999999", "1000000")
        self.refused("TableWarmWrites", "", "-1", "1", "3999", "04000", "1000001", "9999999")
        self.taken("TableWarmWrites", "0", "4000", "9999", "10000", "99999", "100000", "999999", "1000000")

    def test_another_table_name_is_another_table_and_the_parameter_says_so(self):
        self.assertIn("an empty one", self.parameters["TableName"]["Description"])

    def test_every_parameter_has_its_place_in_the_console(self):
        groups = Template().source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        shown = [name for group in groups for name in group["Parameters"]]
        self.assertEqual(sorted(shown), sorted(self.parameters))


class Combinations(unittest.TestCase):
    """Values that are good each by itself, and of which one would be ignored or nothing would work."""

    template = Template()

    def refusals(self, **given):
        before = dict(self.template.parameters)
        self.template.parameters.update(given)
        try:
            return self.template.refusals()
        finally:
            self.template.parameters = before

    def refused(self, named, **given):
        (said,) = self.refusals(**given)
        self.assertIn(named, said)

    def test_the_defaults_go_together_and_so_do_all_fronts(self):
        self.assertEqual(self.refusals(), [])
        self.assertEqual(self.refusals(**FRONTS), [])

    def test_a_parameter_that_would_be_ignored_is_refused(self):
        table = "arn:aws:dynamodb:us-east-1:123456789012:table/restored"
        self.refused("ExistingTableArn", ExistingTableStreamArn=f"{table}/stream/s")
        self.refused("ExistingTableStreamArn", ExistingTableArn=table)
        self.refused("TableWarmWrites", TableWarmReads="12000")
        self.refused("TableWarmReads", TableWarmWrites="4000")
        self.assertEqual(self.refusals(TableWarmReads="12000", TableWarmWrites="4000"), [])
        self.refused("DomainName", CertificateArn=FRONTS["CertificateArn"])
        self.refused("DomainName", HostedZoneId="Z123")
        self.refused("CertificateArn", DomainName="auth.example.com")
        self.refused("RestApi", RestApiAccessLog="true")
        self.refused("MetricsNamespace", MetricsNamespace="", AlarmEmail="ops@example.com")
        self.refused("WebAclArn", WebAclArn="arn:aws:wafv2:us-east-1:123456789012:regional/webacl/x/y")

    def test_an_address_is_closed_only_where_there_is_another(self):
        domain = {name: FRONTS[name] for name in ("DomainName", "CertificateArn")}
        self.refused("DomainName", HttpApiOwnAddress="false")
        self.refused("RestApi=true", HttpApiOwnAddress="false", CloudFront="true", **domain)
        for fronts in ({}, {"RestApi": "true"}, {"RestApi": "true", "CloudFront": "true"}):
            self.assertEqual(self.refusals(HttpApiOwnAddress="false", **domain, **fronts), [])

    def test_keys_that_are_rotated_in_time_set_off_no_alarm(self):
        self.assertEqual(self.refusals(KeyRotationDays="90"), [])
        self.assertEqual(self.refusals(KeyRotationDays="365", KeyAgeDaysMax="375"), [])
        for days in ("91", "365"):
            self.refused("KeyAgeDaysMax", KeyRotationDays=days)


if __name__ == "__main__":
    unittest.main()
