"""What the template says before anything is deployed: what its functions are told, what stands in front, and what is kept."""

import hashlib
import json
import re
import tomllib
import unittest

from template import FRONTS, ROOT, Template, plain

PRODUCTS = {"uniqos": "UniqosRefresh", "dreadnode": "DreadnodeRefresh", "elastic": "ElasticRefresh",
            "replyke": "ReplykeRefresh"}
# What a session opened by a backend has to be like for its product's function to refresh it.
TERMS = re.compile(r"_(ISSUER|AUDIENCE|IDLE_SECS|ABSOLUTE_SECS|ACCESS_TOKEN_SECS|TOKEN_SECS|COOKIE_DOMAIN)$")


class Functions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Every number another than its default, so that a setting that is not passed on is seen.
        cls.defaults = Template()
        given = {name: str(int(spec["Default"]) + 1) for name, spec in cls.defaults.source["Parameters"].items()
                 if spec["Type"] == "Number" and "Secs" in name and spec["MaxValue"] > int(spec["Default"])}
        texts = {f"{product}{what}": f"{product}-{what}" for product in ("Uniqos", "Dreadnode", "Elastic", "Replyke")
                 for what in ("Issuer", "Audience")}
        cls.template = Template(KeyRotationDays="90", **given, **texts)

    def test_a_products_terms_are_the_same_at_sessions_as_at_its_own_function(self):
        sessions = self.template.environment("Sessions")
        for product, function in PRODUCTS.items():
            own = self.template.environment(function)
            terms = {name: value for name, value in own.items() if name.startswith(product.upper()) and TERMS.search(name)}
            self.assertGreaterEqual(len(terms), 4, product)
            told = {name: value for name, value in sessions.items() if name.startswith(product.upper())}
            self.assertEqual(told, terms)

    def test_the_rotation_knows_how_long_tokens_live(self):
        lifetimes = lambda name: {key: value for key, value in self.template.environment(name).items()  # noqa: E731
                                  if key.endswith("_SECS") and not key.startswith("JWKS")}
        self.assertGreater(len(lifetimes("Sessions")), 10)
        self.assertEqual(lifetimes("KeyRotation"), lifetimes("Sessions"))
        published = [self.template.environment(name)["JWKS_MAX_AGE_SECS"] for name in ("Jwks", "KeyRotation")]
        self.assertEqual(len(set(published)), 1)

    def test_a_parameter_is_called_as_the_variable_is(self):
        # README says so, and the runbooks name parameters alone.
        others = {"EVENT_BUS": "EventBusName"}
        seen = set()
        for resource in self.defaults.source["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                for name, value in resource["Properties"].get("Environment", {}).get("Variables", {}).items():
                    if value.keys() == {"Ref"}:
                        called = others.get(name, "".join(word.capitalize() for word in name.split("_")))
                        self.assertEqual(value["Ref"], called)
                        seen.add(name)
        self.assertGreater(len(seen), 40)

    def test_a_function_is_told_nothing_of_another_product(self):
        for product, function in PRODUCTS.items():
            others = tuple(other.upper() + "_" for other in PRODUCTS if other != product)
            self.assertEqual([name for name in self.template.environment(function) if name.startswith(others)], [])

    def test_every_function_logs_json_to_a_group_of_its_own_that_forgets(self):
        groups = self.template.of_type("AWS::Logs::LogGroup")
        used = []
        for name, function in self.template.of_type("AWS::Lambda::Function").items():
            logging = function["LoggingConfig"]
            self.assertEqual((logging["LogFormat"], logging["SystemLogLevel"]), ("JSON", "WARN"), name)
            used.append(logging["LogGroup"])
        self.assertEqual(len(used), len(set(used)))
        for name, group in groups.items():
            self.assertEqual(group["RetentionInDays"], "90", name)
        self.assertLessEqual(set(used), {group["LogGroupName"] for group in groups.values()})

    def test_nothing_is_reserved_unless_told(self):
        reserved = lambda template: {name: function.get("ReservedConcurrentExecutions") for name, function  # noqa: E731
                                     in template.of_type("AWS::Lambda::Function").items()}
        self.assertEqual(set(reserved(self.defaults).values()), {None})
        told = reserved(Template(RefreshConcurrency="20", BackendConcurrency="5"))
        self.assertEqual((told["UniqosRefresh"], told["Sessions"]), ("20", "5"))

    def test_what_the_environment_holds_fits_into_lambda(self):
        origins = ",".join(f"https://app-{n}.example.com" for n in range(10))
        given = {f"{product}AllowedOrigins": origins for product in ("Uniqos", "Dreadnode", "Elastic", "Replyke")}
        template = Template(**given)
        for name in template.of_type("AWS::Lambda::Function"):
            held = template.environment(name)
            size = sum(len(key) + len(str(value)) for key, value in held.items())
            self.assertLess(size, 3_000, f"{name}: AWS takes 4 KB in all")

    def test_the_rotations_schedule_has_no_name_that_another_stack_has_too(self):
        # A schedule's name is the account's and region's: `dev` and `prod` may stand side by side.
        (schedule,) = self.template.of_type("AWS::Scheduler::Schedule").values()
        self.assertNotIn("Name", schedule)

    def test_the_http_api_is_made_in_spite_of_a_warning(self):
        # API Gateway warns of the `servers` without `url` that SAM writes to close an API's own address:
        # https://github.com/aws/serverless-application-model/issues/2424
        (api,) = self.template.of_type("AWS::ApiGatewayV2::Api").values()
        (server,) = api["Body"]["servers"]
        self.assertNotIn("url", server)
        self.assertNotIn("FailOnWarnings", api)

    def test_the_sessions_routes_alone_ask_for_iam(self):
        (api,) = self.template.of_type("AWS::ApiGatewayV2::Api").values()
        for path, operations in api["Body"]["paths"].items():
            self.assertEqual(list(operations), ["x-amazon-apigateway-any-method"], f"{path} takes one method alone")
            by_iam = "AWS_IAM" in plain(operations["x-amazon-apigateway-any-method"].get("security", ""))
            self.assertEqual(by_iam, path.startswith("/sessions"), path)


class Alarms(unittest.TestCase):
    def watched(self, template):
        """The functions whose errors set off the alarm, and the metrics that its expression adds up."""
        alarm = template.stack("Observability").of_type("AWS::CloudWatch::Alarm")["FunctionErrors"]
        metrics = {metric["Id"]: metric for metric in alarm["Metrics"]}
        (added,) = [metric["Expression"] for metric in metrics.values() if metric.get("ReturnData", True)]
        named = re.findall(r"\w+", added.removeprefix("SUM"))
        named += [name for one in named for name in re.findall(r"[a-z]\w*", metrics[one].get("Expression", ""))]
        self.assertEqual(sorted([*named, "all"]), sorted(metrics))
        stats = [metric["MetricStat"]["Metric"] for metric in metrics.values() if "MetricStat" in metric]
        self.assertEqual({(stat["Namespace"], stat["MetricName"]) for stat in stats}, {("AWS/Lambda", "Errors")})
        return sorted(dimension["Value"] for stat in stats for dimension in stat["Dimensions"])

    def test_every_function_that_ends_without_an_answer_sets_off_an_alarm(self):
        for template in (Template(), Template(KeyRotationDays="90")):
            self.assertEqual(self.watched(template), sorted(template.of_type("AWS::Lambda::Function")))
        self.assertIn("KeyRotation", self.watched(Template(KeyRotationDays="90")))


    def test_every_gateway_that_there_is_sets_off_an_alarm_at_its_5xx(self):
        # Each in the words of its kind, and by the name that it has there.
        by_default, with_rest = Template(), Template(RestApi="true")
        (rest,) = with_rest.stack("RestApiStack").of_type("AWS::ApiGateway::RestApi").values()
        of_http = {"ServerErrors": ("5xx", [{"Name": "ApiId", "Value": "Api"}])}
        of_rest = {"RestServerErrors": ("5XXError", [{"Name": "ApiName", "Value": rest["Name"]}])}
        for template, wanted in ((by_default, of_http), (with_rest, {**of_http, **of_rest})):
            found = {}
            for name, alarm in template.stack("Observability").of_type("AWS::CloudWatch::Alarm").items():
                stats = [metric["MetricStat"]["Metric"] for metric in alarm.get("Metrics", []) if "MetricStat" in metric]
                if stats and all(stat["Namespace"] == "AWS/ApiGateway" for stat in stats):
                    errors, requests = stats
                    self.assertEqual(requests, {**errors, "MetricName": "Count"})
                    found[name] = (errors["MetricName"], errors["Dimensions"])
            self.assertEqual(found, wanted)

    def test_a_dashboard_has_no_name_of_its_own(self):
        # The account's dashboards of all regions share their names, and a table's may have dots, and more letters.
        for name in ("rondo.sessions", "t" * 255):
            (dashboard,) = Template(TableName=name).stack("Observability").of_type("AWS::CloudWatch::Dashboard").values()
            self.assertNotIn("DashboardName", dashboard)


class Fronts(unittest.TestCase):
    """What may stand in front of the functions."""

    def test_by_default_there_is_the_http_api_alone(self):
        stacks = Template().of_type("AWS::CloudFormation::Stack")
        self.assertEqual(stacks.keys() & {"FunctionUrlStack", "RestApiStack", "DomainStack", "CloudFrontStack"}, set())

    def test_every_front_serves_the_same_paths_with_the_same_authorization(self):
        template = Template(**FRONTS)
        (http,) = template.of_type("AWS::ApiGatewayV2::Api").values()
        (rest,) = template.stack("RestApiStack").of_type("AWS::ApiGateway::RestApi").values()
        http_paths, rest_paths = http["Body"]["paths"], rest["Body"]["paths"]
        self.assertEqual(set(http_paths), set(rest_paths))
        served = set()
        for path, operations in rest_paths.items():
            operation = operations["x-amazon-apigateway-any-method"]
            self.assertEqual("x-amazon-apigateway-auth" in operation, path.startswith("/sessions"), path)
            function = re.search(r"lambda:[^:]+:\d+:(\w+)/", operation["x-amazon-apigateway-integration"]["uri"])[1]
            other = http_paths[path]["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]["uri"]
            self.assertIn(f":{function}/", other, path)
            served.add(function)
        urls = template.stack("FunctionUrlStack").of_type("AWS::Lambda::Url")
        self.assertEqual({url["TargetFunctionArn"].rsplit(":", 1)[-1] for url in urls.values()}, served)
        for name, url in urls.items():
            self.assertEqual(url["AuthType"], "AWS_IAM" if name == "SessionsUrl" else "NONE")

    def test_a_viewers_address_counts_only_with_the_secret_that_cloudfront_alone_sends(self):
        template = Template(**FRONTS)
        reference = "{{resolve:secretsmanager:%s:SecretString}}" % template.ref("FrontDoorKey")
        for function in PRODUCTS.values():
            self.assertEqual(template.environment(function)["FRONT_DOOR_SECRET"], reference)
            self.assertEqual(Template().environment(function)["FRONT_DOOR_SECRET"], "")
        (distribution,) = template.stack("CloudFrontStack").of_type("AWS::CloudFront::Distribution").values()
        (origin,) = distribution["DistributionConfig"]["Origins"]
        header = {"HeaderName": "X-Rondo-Front-Door", "HeaderValue": reference}
        self.assertEqual(origin["OriginCustomHeaders"], [header])

    def test_cloudfront_never_sends_the_viewers_host_on(self):
        # API Gateway finds an API by its own host name, and answers 403 to any other.
        without_host = {"4135ea2d-6df8-44a3-9df3-4b5a84be39ad": "CachingDisabled",
                        "b689b0a8-53d0-40ab-baf2-68738e2966ac": "AllViewerExceptHostHeader"}
        stack = Template(**FRONTS).stack("CloudFrontStack")
        for name, policy in stack.of_type("AWS::CloudFront::CachePolicy").items():
            sent_on = policy["CachePolicyConfig"]["ParametersInCacheKeyAndForwardedToOrigin"]
            if sent_on["HeadersConfig"] == {"HeaderBehavior": "none"}:
                without_host[name] = name
        (distribution,) = stack.of_type("AWS::CloudFront::Distribution").values()
        config = distribution["DistributionConfig"]
        for behavior in (config["DefaultCacheBehavior"], *config["CacheBehaviors"]):
            self.assertIn(behavior["CachePolicyId"], without_host)
            self.assertIn(behavior.get("OriginRequestPolicyId", "KeysCachePolicy"), without_host)

    def test_keys_are_kept_by_cloudfront_as_long_as_the_function_says(self):
        template = Template(**FRONTS)
        (policy,) = template.stack("CloudFrontStack").of_type("AWS::CloudFront::CachePolicy").values()
        times = policy["CachePolicyConfig"]
        self.assertEqual((times["MinTTL"], times["DefaultTTL"]), (0, 0))
        self.assertGreaterEqual(times["MaxTTL"], template.source["Parameters"]["JwksMaxAgeSecs"]["MaxValue"])

    def test_every_method_reaches_the_functions_through_cloudfront(self):
        # To others it answers 403 itself.
        (distribution,) = Template(**FRONTS).stack("CloudFrontStack").of_type("AWS::CloudFront::Distribution").values()
        config = distribution["DistributionConfig"]
        for behavior in (config["DefaultCacheBehavior"], *config["CacheBehaviors"]):
            self.assertEqual(sorted(behavior["AllowedMethods"]), ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])

    def test_the_domains_record_is_the_same_resource_whatever_stands_in_front(self):
        # CloudFormation makes what is new before it deletes what is old, and a zone takes no two records of one name.
        cloudfront, gateway = Template(**FRONTS), Template(**{**FRONTS, "CloudFront": "false"})
        named, at = {}, {}
        for template, front in ((cloudfront, "CloudFrontStack"), (gateway, "DomainStack")):
            records = template.of_type("AWS::Route53::RecordSet")
            self.assertEqual(template.stack(front).of_type("AWS::Route53::RecordSet"), {})
            for name, record in records.items():
                self.assertEqual((record["HostedZoneId"], record["Name"]), ("Z123", "auth.example.com"))
                named.setdefault(record["Type"], set()).add(name)
                at[front, record["Type"]] = record["AliasTarget"]
        self.assertEqual([len(names) for names in named.values()], [1, 1])
        (distribution,) = cloudfront.stack("CloudFrontStack").of_type("AWS::CloudFront::Distribution").values()
        self.assertTrue(distribution["DistributionConfig"]["IPV6Enabled"])
        to_cloudfront = {"DNSName": "Distribution.DomainName", "HostedZoneId": "Z2FDTNDATAQYW2"}
        to_gateway = {"DNSName": "Domain.RegionalDomainName", "HostedZoneId": "Domain.RegionalHostedZoneId"}
        self.assertEqual(at, {("CloudFrontStack", "A"): to_cloudfront, ("CloudFrontStack", "AAAA"): to_cloudfront,
                              ("DomainStack", "A"): to_gateway})

    def test_no_record_is_made_without_a_zone(self):
        for fronts in ({}, {**FRONTS, "HostedZoneId": ""}, {**FRONTS, "HostedZoneId": "", "CloudFront": "false"}):
            self.assertEqual(Template(**fronts).of_type("AWS::Route53::RecordSet"), {})

    def test_no_output_shows_a_secret(self):
        shown = plain(Template(**FRONTS, FrontDoorSecret="s" * 32).resolve(Template(**FRONTS).template["Outputs"]))
        self.assertNotIn("resolve:secretsmanager", shown)
        self.assertNotIn("s" * 32, shown)
        self.assertEqual(Template().source["Parameters"]["FrontDoorSecret"]["NoEcho"], True)

    def test_a_closed_address_is_in_no_output(self):
        domain = {name: FRONTS[name] for name in ("DomainName", "CertificateArn")}
        closed = lambda template: template.of_type("AWS::ApiGatewayV2::Api")["Api"]["Body"]["servers"][0][  # noqa: E731
            "x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"]
        self.assertIs(closed(Template(**FRONTS)), False)
        for fronts, sessions in (({}, "https://auth.example.com/sessions"),
                                 ({"RestApi": "true"}, "https://auth.example.com/sessions"),
                                 # CloudFront changes the host that a backend has signed.
                                 ({"RestApi": "true", "CloudFront": "true"}, ".amazonaws.com/Stage/sessions")):
            template = Template(HttpApiOwnAddress="false", **domain, **fronts)
            self.assertIs(closed(template), True)
            shown = self.shown(template)
            self.assertTrue(shown.pop("SessionsUrl").endswith(sessions))
            for name, url in shown.items():
                if name.endswith(("RefreshUrl", "JwksUrl")):
                    self.assertTrue(url.startswith("https://auth.example.com/"), f"{name}: {url}")
            self.assertEqual("RestSessionsInvokeArn" in shown, "RestApi" in fronts)

    def shown(self, template):
        """The outputs that there are, resolved."""
        return {name: template.resolve(output["Value"]) for name, output in template.template["Outputs"].items()
                if "Condition" not in output or template.condition(output["Condition"])}

    def test_an_address_in_an_output_is_the_outermost_ones(self):
        domain = {name: FRONTS[name] for name in ("DomainName", "CertificateArn")}
        for fronts, at in (({}, "Api.ApiEndpoint/"), ({"RestApi": "true"}, "Api.ApiEndpoint/"),
                           ({"CloudFront": "true"}, "https://Distribution.DomainName/"),
                           (domain, "https://auth.example.com/"), (FRONTS, "https://auth.example.com/")):
            shown = self.shown(Template(**fronts))
            urls = {name: url for name, url in shown.items() if name.endswith(("RefreshUrl", "JwksUrl"))}
            self.assertEqual(len(urls), 5)
            for name, url in urls.items():
                self.assertTrue(url.startswith(at), f"{name}: {url}")
            # Its callers sign the host, and CloudFront would change it.
            self.assertEqual(shown["SessionsUrl"], "Api.ApiEndpoint/sessions")

    def test_every_functions_own_url_is_in_an_output(self):
        template = Template(FunctionUrls="true")
        shown = self.shown(template)
        urls = template.stack("FunctionUrlStack").of_type("AWS::Lambda::Url")
        self.assertEqual(len(urls), 6)
        for name in urls:
            self.assertEqual(shown[name.removesuffix("Url") + "FunctionUrl"], f"{name}.FunctionUrl")
        self.assertEqual([name for name in self.shown(Template()) if name.endswith("FunctionUrl")], [])

    def test_every_gateway_logs_the_same_of_a_request_and_says_who_signed_it(self):
        template = Template(**FRONTS, RestApiAccessLog="true")
        (http,) = template.of_type("AWS::ApiGatewayV2::Stage").values()
        (rest,) = template.stack("RestApiStack").of_type("AWS::ApiGateway::Stage").values()
        for logged in (http["AccessLogSettings"], rest["AccessLogSetting"]):
            self.assertEqual(logged["DestinationArn"], template.attribute("AccessLog", "Arn"))
            said = json.loads(logged["Format"])
            self.assertEqual(said["caller"], "$context.identity.userArn")
            # The function's own; integrationStatus is the Lambda service's, which is 200 also where a function failed.
            self.assertEqual(said["functionStatus"], "$context.integration.status")
            self.assertEqual(said.keys(), json.loads(http["AccessLogSettings"]["Format"]).keys())
            # messageString comes with its own quotes, and a line with two pairs of them is no JSON.
            self.assertNotIn("messageString", logged["Format"])
            self.assertNotRegex(logged["Format"], "header|query|[Cc]ookie|authorizer")
        (rest,) = Template(RestApi="true").stack("RestApiStack").of_type("AWS::ApiGateway::Stage").values()
        self.assertNotIn("AccessLogSetting", rest)

    def test_other_paths_of_the_rest_api_are_another_deployment(self):
        # CloudFormation makes a deployment once: the stage would go on with the paths of before.
        source = Template(**FRONTS).stack("RestApiStack").source["Resources"]
        paths = hashlib.sha256(json.dumps(source["Api"]["Properties"]["Body"], sort_keys=True).encode()).hexdigest()
        (name,) = [name for name, resource in source.items() if resource["Type"] == "AWS::ApiGateway::Deployment"]
        self.assertEqual(name, f"Deployment{paths[:8]}", "rename it in infra/rest-api.yaml")

    def test_the_domain_belongs_to_whatever_stands_outermost(self):
        domain = {name: FRONTS[name] for name in ("DomainName", "CertificateArn")}
        of_http, of_rest = Template(**domain), Template(**domain, RestApi="true")
        # By reference, so that the stage is there before the domain leads to it.
        self.assertEqual(of_http.template["Resources"]["DomainStack"]["Properties"]["Parameters"]["Stage"]["Fn::If"][2],
                         {"Ref": "ApiApiGatewayDefaultStage"})
        self.assertEqual(of_http.of_type("AWS::ApiGatewayV2::Stage")["ApiApiGatewayDefaultStage"]["StageName"], "$default")
        self.assertEqual(of_rest.stack("DomainStack").parameters["Stage"], "Stage")
        behind = Template(**FRONTS)
        self.assertNotIn("DomainStack", behind.resources)
        (distribution,) = behind.stack("CloudFrontStack").of_type("AWS::CloudFront::Distribution").values()
        self.assertEqual(distribution["DistributionConfig"]["Aliases"], ["auth.example.com"])


class Keeping(unittest.TestCase):
    """What a stack leaves behind when it goes."""

    def test_the_table_and_the_keyring_outlive_the_stack(self):
        template = Template()
        for resource in (template.resources["Table"], template.stack("Table").resources["Table"]):
            self.assertEqual((resource["DeletionPolicy"], resource["UpdateReplacePolicy"]), ("Retain", "Retain"))
        # A deployment that failed leaves no empty keyring to be paid for; the table is protected, and cannot go with it.
        keyring = template.resources["Keyring"]
        self.assertEqual((keyring["DeletionPolicy"], keyring["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))

    def test_the_table_is_protected_recoverable_encrypted_and_expires(self):
        (table,) = Template().stack("Table").of_type("AWS::DynamoDB::Table").values()
        self.assertEqual(table["BillingMode"], "PAY_PER_REQUEST")
        self.assertEqual(table["DeletionProtectionEnabled"], "true")
        self.assertTrue(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"])
        self.assertTrue(table["SSESpecification"]["SSEEnabled"])
        self.assertEqual(table["TimeToLiveSpecification"], {"AttributeName": "expires_at", "Enabled": True})
        self.assertEqual(table["StreamSpecification"]["StreamViewType"], "NEW_IMAGE")
        self.assertNotIn("WarmThroughput", table)
        (warm,) = Template(TableWarmReads="12000", TableWarmWrites="4000").stack("Table").of_type(
            "AWS::DynamoDB::Table").values()
        self.assertEqual(warm["WarmThroughput"], {"ReadUnitsPerSecond": "12000", "WriteUnitsPerSecond": "4000"})

    def test_a_table_and_a_keyring_that_stand_already_are_used_in_place_of_new_ones(self):
        table = "arn:aws:dynamodb:us-east-1:123456789012:table/restored"
        given = {"ExistingTableArn": table, "ExistingTableStreamArn": f"{table}/stream/s",
                 "ExistingKeyringArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:kept-a1B2c3"}
        template = Template(**given)
        self.assertEqual(template.stack("Table").resources, {})
        self.assertNotIn("Keyring", template.resources)
        told = template.environment("UniqosRefresh")
        self.assertEqual((told["TABLE_NAME"], told["KEYRING_SECRET_ID"]), ("restored", given["ExistingKeyringArn"]))
        role = json.dumps(template.of_type("AWS::IAM::Role")["UniqosRefreshRole"])
        self.assertIn(f'"{table}"', role)
        self.assertNotIn("table/rondo", role)


class Stages(unittest.TestCase):
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text())

    def test_each_stage_sets_only_parameters_that_there_are(self):
        for stage in ("dev", "prod"):
            given = self.stages[stage]["global"]["parameters"]["parameter_overrides"]
            set_there = {one.split("=")[0] for one in given.split()}
            self.assertTrue(set_there)
            self.assertLessEqual(set_there, Template().source["Parameters"].keys())

    def test_a_stages_parameters_are_said_once_for_the_build_and_the_deployment(self):
        # A command's own stand in place of the stage's.
        for stage in ("dev", "prod"):
            for command, settings in self.stages[stage].items():
                if command != "global":
                    self.assertNotIn("parameter_overrides", settings["parameters"], f"{stage}.{command}")


if __name__ == "__main__":
    unittest.main()
