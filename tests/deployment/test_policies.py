"""What no role may do, and that the table in infra/policies.md is what the template allows."""

import unittest

from iam import allows, fits
from policies import CONTROL, KEYS, PRODUCTS, READS, SECRETS, TABLE, WRITES, document, places, roles, widest

# The only ones that may do more than read the keyring and the keys of the table.
EDITS_KEYRING = {"KeyRotation"}
READS_STREAM = {"Events"}
STREAM = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
EDITS = {"PutSecretValue", "UpdateSecretVersionStage", "DescribeSecret"}
OWN = {"UniqosRefresh": "uniqos", "DreadnodeRefresh": "dreadnode", "ElasticRefresh": "elastic", "ReplykeRefresh": "replyke"}


class Policies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.template = widest()
        cls.roles = roles(cls.template)
        cls.places = places(cls.template)

    def denied(self, role, action, place, keys=None):
        self.assertFalse(role.may(action, self.places[place], keys), f"{role.function} may {action} on {place}: {keys}")

    def test_the_table_is_what_the_template_allows(self):
        self.assertEqual(TABLE.read_text(), document(self.template), "run `make policies` and look at what it changed")

    def test_no_role_deletes_scans_batches_or_speaks_partiql_whatever_the_key(self):
        for action in ("DeleteItem", "BatchWriteItem", "BatchGetItem", "Scan", "PartiQLSelect", "PartiQLInsert",
                       "PartiQLUpdate", "PartiQLDelete"):
            for role in self.roles.values():
                for keys in (None, [], *KEYS.values()):
                    self.denied(role, f"dynamodb:{action}", "the table", keys)

    def test_no_role_reads_or_writes_without_leading_keys_on_an_index_or_on_another_table(self):
        for role in self.roles.values():
            for action in (*READS, *WRITES):
                for keys in (None, []):
                    self.denied(role, f"dynamodb:{action}", "the table", keys)
                for key in (None, *KEYS.values()):
                    self.denied(role, f"dynamodb:{action}", "an index", key)
                    self.denied(role, f"dynamodb:{action}", "another table", key)

    def test_no_role_changes_the_table_and_only_the_events_function_reads_its_stream(self):
        for name, role in self.roles.items():
            for action in CONTROL:
                for place in ("the table", "its stream", "another table"):
                    if not (name in READS_STREAM and action in STREAM and place == "its stream"):
                        self.denied(role, f"dynamodb:{action}", place)

    def test_no_role_touches_another_secret_and_only_the_rotation_edits_the_keyring(self):
        for name, role in self.roles.items():
            for action in SECRETS:
                self.denied(role, f"secretsmanager:{action}", "another secret")
                if action != "GetSecretValue" and not (name in EDITS_KEYRING and action in EDITS):
                    self.denied(role, f"secretsmanager:{action}", "the keyring")

    def test_a_products_function_touches_no_other_products_keys(self):
        self.assertEqual(set(OWN.values()), set(PRODUCTS))
        for name, product in OWN.items():
            foreign = [key for key in KEYS.values() if product not in key and key != "WARM"]
            self.assertGreater(len(foreign), 10)
            for action in (*READS, *WRITES):
                for key in foreign:
                    self.denied(self.roles[name], f"dynamodb:{action}", "the table", key)

    def test_one_foreign_key_among_a_functions_own_is_denied(self):
        for name, product in OWN.items():
            tenant = "replyke:p" if product == "replyke" else product
            own, foreign = f"FAMILY#{tenant}#1", "FAMILY#another#1"
            self.assertTrue(self.roles[name].may("dynamodb:PutItem", self.places["the table"], own))
            self.denied(self.roles[name], "dynamodb:PutItem", "the table", [own, foreign])

    def test_a_session_is_put_under_its_family_and_beside_its_user_at_once(self):
        for name, tenants in (("ElasticRefresh", ["elastic"]), ("Sessions", ["uniqos", "dreadnode", "elastic", "replyke:p"])):
            for tenant in tenants:
                keys = [f"FAMILY#{tenant}#1", f"USER#{tenant}#1"]
                self.assertTrue(self.roles[name].may("dynamodb:PutItem", self.places["the table"], keys), (name, tenant))

    def test_a_product_whose_name_begins_with_anothers_is_another(self):
        for name, product in OWN.items():
            for key in (f"FAMILY#{product}2#1", f"FAMILY#{product}", f"RATE#{product}2-user#1"):
                self.denied(self.roles[name], "dynamodb:PutItem", "the table", key)
                self.denied(self.roles[name], "dynamodb:UpdateItem", "the table", key)

    def test_every_function_has_a_role_of_its_own_that_lambda_alone_assumes(self):
        names = [role.name for role in self.roles.values()]
        self.assertEqual(len(names), len(set(names)))
        for role in self.roles.values():
            self.assertEqual(len(role.trust), 1, role.name)
            self.assertEqual(role.trust[0]["Principal"], {"Service": "lambda.amazonaws.com"})
            self.assertEqual(role.managed, [], "a policy of AWS's own is wider than what is needed: write it out")

    def test_no_statement_names_every_action_or_every_resource(self):
        for role in self.roles.values():
            for statement in role.statements:
                actions, resources = ([part] if isinstance(part, str) else part
                                      for part in (statement["Action"], statement["Resource"]))
                for action in actions:
                    self.assertNotIn("*", action)
                self.assertNotIn("*", resources)


class Evaluation(unittest.TestCase):
    """The evaluator itself, on what AWS documents."""

    STATEMENT = {
        "Effect": "Allow", "Action": "dynamodb:Get*", "Resource": "arn:t",
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["A#*", "B"]}},
    }

    def allowed(self, keys, *more, **changed):
        context = {} if keys is None else {"dynamodb:leadingkeys": keys}
        return allows([{**self.STATEMENT, **changed}, *more], "DynamoDB:getitem", "arn:t", context=context)

    def test_for_all_values_is_true_of_no_value_which_null_mends(self):
        for absent in (None, []):
            self.assertTrue(self.allowed(absent))
            condition = {**self.STATEMENT["Condition"], "Null": {"dynamodb:LeadingKeys": "false"}}
            self.assertFalse(self.allowed(absent, Condition=condition))
            self.assertTrue(self.allowed(["A#1"], Condition=condition))

    def test_all_values_have_to_fit_one_of_the_wanted(self):
        self.assertTrue(self.allowed(["A#1", "B"]))
        self.assertFalse(self.allowed(["A#1", "B#"]))
        self.assertFalse(self.allowed(["a#1"]))

    def test_a_denial_wins_and_silence_denies(self):
        self.assertFalse(self.allowed(["B"], {"Effect": "Deny", "Action": "*", "Resource": "*"}))
        self.assertFalse(self.allowed(["B"], Action="dynamodb:Put*"))
        self.assertFalse(self.allowed(["B"], Resource="arn:"))

    def test_an_operator_without_its_key_is_false(self):
        self.assertFalse(fits("StringEquals", "a", None))
        self.assertFalse(fits("ForAnyValue:StringEquals", "a", []))
        self.assertTrue(fits("StringEquals", ["a", "b"], ["b"]))

    def test_an_operator_that_is_not_known_is_an_error(self):
        with self.assertRaises(NotImplementedError):
            fits("StringNotEquals", "a", ["b"])


if __name__ == "__main__":
    unittest.main()
