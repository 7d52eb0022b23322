"""The deployment test: `make test-deploy`. Builds with the real `sam build`, deploys the real template with the real
`sam deploy` to an emulated AWS that enforces the functions' roles, calls every product over HTTP, updates the stack under
load, and deletes it. Each part says how long it took; whatever was started is ended.

What the emulator cannot tell (leading keys, who may assume a role) is proved in test_policies.py, and what is a matter of
one function alone in that function's own tests.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import botocore.exceptions
import costs
from cloud import TOOLS, Cloud, part, until
from products import PRODUCTS, Dreadnode, Elastic, Replyke, Uniqos, key_of
from rotation import Rotation
from template import ROOT, Template
from told import Listener

STACK, TABLE = "rondo-dev", "rondo-dev"
SAM = TOOLS / "sam/bin/sam"
RONDO = ROOT / "target/debug/rondo"
USER, PASSWORD = "ada", "a password of this test"
# Short, so that its end can be waited for.
GRACE_SECS = 5
ORIGIN = "https://app.example.com"
# In place of those of the stage in samconfig.toml.
SETTINGS = {
    "Architecture": "x86_64", "TableName": TABLE, "LogRetentionDays": 7, "KeyRotationDays": 90,
    "ReplykeRotateCookies": "true",
    **{product.grace: GRACE_SECS for product in PRODUCTS},
    **{f"{product.__name__}AllowedOrigins": ORIGIN for product in PRODUCTS},
    # The load below is one user's, from one address.
    "UniqosRateLimit": 1000, "ReplykeRateLimit": 1000, "ReplykeRatePeriodSecs": 1,
}
# What no parameter may be, and what CloudFormation then says.
BAD_PARAMETERS = {
    "UniqosGraceSecs": ("61", "60"),
    "UniqosAllowedOrigins": (f"{ORIGIN}/path", "without a path"),
}
# A table that is none of ours.
OTHER_TABLE = {
    "TableName": "of-another-schema", "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
}


def equal(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def lint():
    run(SAM, "validate", "--lint")
    run(TOOLS / "sam/bin/cfn-lint", "template.yaml", *sorted((ROOT / "infra").glob("*.yaml")), "infra/table.json")


def run(*command, **environment):
    """A command that needs no AWS, and has no way to reach one."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    given = {**own, **Cloud.environment("http://127.0.0.1:1"), **environment}
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=given, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def evaluate():
    suite = unittest.defaultTestLoader.loadTestsFromNames(["test_policies", "test_parameters", "test_template", "test_costs"])
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    if not result.wasSuccessful() or not result.testsRun:
        raise AssertionError("the template is not as it should be")
    print(f"{result.testsRun} tests of the template and its policies\n{costs.told()}", flush=True)


def build():
    """The real build, for this machine's processor; see Cargo.toml for what is left out of it here."""
    path = f"{TOOLS / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # Optimizing the whole program takes minutes for each function, and changes nothing that is looked at here.
    quick = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}
    run(SAM, "build", "--parameter-overrides", "Architecture=x86_64", PATH=path, CARGO_LAMBDA_COMPILER="cargo", **quick)
    run("cargo", "build", "--quiet", "--locked", "--bin", "rondo")


class Deployment:
    def __init__(self, cloud):
        self.cloud, self.outputs, self.backend = cloud, {}, None
        # The families of which a replay was the end, and those that a backend ended.
        self.ended, self.revoked = set(), set()

    def deploy(self, **changed):
        settings = " ".join(f"{name}={value}" for name, value in {**SETTINGS, **changed}.items())
        self.cloud.run(SAM, "deploy", "--config-env", "dev", "--no-confirm-changeset", "--no-progressbar",
                       "--parameter-overrides", settings)
        (stack,) = self.cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.cloud.api_id = self.outputs["ApiId"]

    def resources(self):
        """What stands there is what the template says, also where the emulator is silent about what it leaves out."""
        template = Template(**{name: str(value) for name, value in SETTINGS.items()})
        (api,) = template.of_type("AWS::ApiGatewayV2::Api").values()
        routes = self.cloud.client("apigatewayv2").get_routes(ApiId=self.cloud.api_id)["Items"]
        found = {route["RouteKey"]: route["AuthorizationType"] for route in routes}
        equal(found, {f"ANY {path}": "AWS_IAM" if path.startswith("/sessions") else "NONE" for path in api["Body"]["paths"]},
              "the routes")
        database = self.cloud.client("dynamodb")
        table = database.describe_table(TableName=TABLE)["Table"]
        equal(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST", "the table's billing")
        equal(table["DeletionProtectionEnabled"], True, "the table's protection")
        equal(table["StreamSpecification"], {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}, "the table's stream")
        equal(table["SSEDescription"]["Status"], "ENABLED", "the table's encryption")
        expiry = database.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]
        equal(expiry, {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}, "the table's expiry")
        backups = database.describe_continuous_backups(TableName=TABLE)["ContinuousBackupsDescription"]
        recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        equal(recovery, "ENABLED", "the table's point-in-time recovery")
        self.functions_and_logs(template)
        print(f"{len(found)} routes; {len(self.functions)} functions, each with its role and its log", flush=True)

    def functions_and_logs(self, template):
        listed = self.cloud.client("lambda").list_functions(MaxItems=50)["Functions"]
        self.functions = {function["FunctionName"].split("-")[2]: function for function in listed}
        equal(sorted(self.functions), sorted(template.of_type("AWS::Lambda::Function")), "the functions")
        roles = {function["Role"] for function in listed}
        equal(len(roles), len(listed), "the number of roles")
        access = self.cloud.client("iam")
        for role in roles:
            name = role.rsplit("/", 1)[-1]
            equal(access.list_attached_role_policies(RoleName=name)["AttachedPolicies"], [], f"{name}'s managed policies")
        groups = self.cloud.client("logs").describe_log_groups()["logGroups"]
        kept = {group["logGroupName"]: group.get("retentionInDays") for group in groups}
        for function in listed:
            equal(function["Runtime"], "provided.al2023", "the runtime")
            equal(kept[function["LoggingConfig"]["LogGroup"]], 7, f"{function['FunctionName']}'s log's days")

    def bad_parameters(self):
        """A bad value is refused at its parameter, before anything is touched."""
        formation = self.cloud.client("cloudformation")
        (stack,) = formation.describe_stacks(StackName=STACK)["Stacks"]
        kept = [{"ParameterKey": one["ParameterKey"], "UsePreviousValue": True} for one in stack["Parameters"]
                if one["ParameterKey"] not in BAD_PARAMETERS]
        for name, (value, told) in BAD_PARAMETERS.items():
            others = [{"ParameterKey": other, "UsePreviousValue": True} for other in BAD_PARAMETERS if other != name]
            given = [*kept, *others, {"ParameterKey": name, "ParameterValue": value}]
            try:
                formation.create_change_set(StackName=STACK, ChangeSetName="bad", UsePreviousTemplate=True, Parameters=given,
                                            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
            except botocore.exceptions.ClientError as error:
                said = error.response["Error"]["Message"]
                equal((name in said, told in said), (True, True), f"that {name} and {told!r} are named in {said!r}")
            else:
                raise AssertionError(f"{name}={value} is not refused")

    def logged(self, function, text):
        group = self.functions[function]["LoggingConfig"]["LogGroup"]
        events = self.cloud.client("logs").filter_log_events(logGroupName=group)["events"]
        return [event["message"] for event in events if text in event["message"]]

    def without_keys(self):
        """A deployment without keys says so, in one log line that names what to do, and drops nobody's token."""
        def ask(product):
            return self.cloud.call("POST", product.path, **product.request("a.b.c"))

        for product in PRODUCTS:
            answer = ask(product)
            equal((answer.status, answer.cookies), (product.unconfigured, []), f"{product.tenant}: an answer without keys")
            until(lambda: self.logged(f"{product.__name__}Refresh", "rondo keys init"),
                  f"{product.tenant}: a log line that names `rondo keys init`")
        self.rondo("keys", "init", "--secret", self.outputs["KeyringArn"])
        equal(self.cloud.call("GET", "/.well-known/jwks.json").status, 200, "the keys' status, once they are there")
        # An instance that stands looks for them once a second.
        until(lambda: ask(Uniqos).status == 422, "the function to find the keys")

    def rondo(self, *command, given=None):
        return self.cloud.run(RONDO, *command, given=given)

    def people(self):
        """Users of each product, put by the operator's tool as on AWS; and a backend that may open their sessions."""
        on = ("--aws", "--table", self.outputs["TableName"])
        for tenant in (product.tenant for product in PRODUCTS):
            self.rondo(*on, "user", "put", USER, "--name", "Ada", "--tenant", tenant)
        self.rondo(*on, "user", "put", USER, "--tenant", Elastic.tenant, "--password", "-", given=f"{PASSWORD}\n")
        self.rondo(*on, "org", "put", "acme", "--name", "Acme", "--tenant", Uniqos.tenant)
        self.rondo(*on, "org", "put", "acme", "--name", "Acme", "--tenant", Dreadnode.tenant)
        self.rondo(*on, "member", "put", "acme", "--user", USER, "--tenant", Dreadnode.tenant, "--default")
        self.backend = self.iam_user("backend", self.outputs["SessionsInvokeArn"])

    def iam_user(self, name, may_invoke):
        access = self.cloud.client("iam")
        access.create_user(UserName=name)
        statement = f'{{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"{may_invoke}"}}'
        access.put_user_policy(UserName=name, PolicyName="invoke",
                               PolicyDocument=f'{{"Version":"2012-10-17","Statement":[{statement}]}}')
        key = access.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def open(self, product, token):
        body = {"tenant": product.tenant, "user": USER, "client_token": token, **({"org": product.org} if product.org else {})}
        answer = self.cloud.signed("POST", "/sessions", self.backend, body)
        equal(answer.status, 201, f"the opening of {product.tenant}'s session ({answer})")
        return product(self.cloud, answer.json())

    def backends_alone(self):
        """The sessions routes take signed calls of those who may, and no others."""
        body = {"tenant": "uniqos", "user": USER, "client_token": "nobody's"}
        nobody = self.iam_user("nobody", "arn:aws:execute-api:us-east-1:000000000000:another/*")
        equal(self.cloud.call("POST", "/sessions", body=body).status, 403, "an unsigned call's status")
        equal(self.cloud.signed("POST", "/sessions", nobody, body).status, 403, "the status of one who may not")

    def story(self, product):
        """Refreshed, rotated, replayed within the window and past it, and another revoked by a backend."""
        name = product.__name__
        client = self.open(product, "story")
        first = client.token
        equal(client.refresh().status, 200, f"{name}: a refresh")
        second = client.token
        if first == second:
            raise AssertionError(f"{name}: a refresh did not rotate")
        equal(client.present(first).status, 200, f"{name}: a retry within the window")
        equal(client.present(first, agent="another").status, 200, f"{name}: a retry within the window by another client")
        equal(client.refresh().status, 200, f"{name}: a refresh by the new token")
        time.sleep(GRACE_SECS + 0.2)
        equal(client.present(first).status, product.refused, f"{name}: a replay past the window")
        equal(client.refresh().status, product.refused, f"{name}: the newest token after a replay")
        self.ended.add((product.tenant, client.family))
        other = self.open(product, "revoked")
        equal(other.refresh().status, 200, f"{name}: a refresh before the revocation")
        query = f"?tenant={product.tenant.replace(':', '%3A')}&user={USER}"
        revoked = self.cloud.signed("DELETE", f"/sessions/{other.family}{query}", self.backend)
        equal(revoked.status, 200, f"{name}: the revocation ({revoked})")
        equal(other.refresh().status, product.refused, f"{name}: a refresh after the revocation")
        self.revoked.add((product.tenant, other.family))
        print(f"{name}: refreshed, rotated, replayed, revoked", flush=True)

    def every_story(self):
        """What happens is told: also what happened while there was nobody to tell."""
        listener = Listener(self.cloud, self.functions)
        with listener.deaf(self.logged):
            self.story(PRODUCTS[0])
        for product in PRODUCTS[1:]:
            self.story(product)
        listener.has_told(self.ended, self.revoked, TABLE)
        listener.unreadable(self.outputs["UntoldEventsQueueUrl"], TABLE)

    def browsers(self):
        """The functions answer preflights and wrong methods themselves; the gateway adds nothing and takes nothing away."""
        for product in PRODUCTS:
            for origin, told in ((ORIGIN, ORIGIN), ("https://elsewhere.example", None)):
                asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
                answer = self.cloud.call("OPTIONS", product.path, headers=asked)
                equal((answer.status, answer.headers.get("access-control-allow-origin")), (204, told),
                      f"{product.tenant}: a preflight from {origin}")
            answer = self.cloud.call("GET", product.path)
            equal((answer.status, answer.headers.get("allow")), (405, "POST, OPTIONS"), f"{product.tenant}: a wrong method")
        print(f"preflights and wrong methods of {len(PRODUCTS)} products: answered by their functions", flush=True)

    def passwords(self):
        equal(Elastic.sign_in(self.cloud, USER, "another").status, 401, "a wrong password's status")
        answer = Elastic.sign_in(self.cloud, USER, PASSWORD)
        equal(answer.status, 200, f"a password's status ({answer})")
        session = {"session": {"family": None}, "refresh_token": answer.json()["token"]}
        equal(Elastic(self.cloud, session).refresh().status, 200, "a refresh of what a password opened")

    def lacking(self):
        """What a role lacks is denied, to the very credentials that the function runs with."""
        seal = {"pk": {"S": "FAMILY#uniqos#1"}, "sk": {"S": "SEAL"}}
        for name in self.functions:
            database, secrets = (self.cloud.client_of(service, self.credentials_of(name))
                                 for service in ("dynamodb", "secretsmanager"))
            self.denied(name, database.delete_item, TableName=TABLE, Key=seal)
            self.denied(name, database.scan, TableName=TABLE)
            if name != "KeyRotation":
                self.denied(name, secrets.put_secret_value, SecretId=self.outputs["KeyringArn"], SecretString="{}")
        # Its own keys are its own: what is denied is so for the key, not for the credentials.
        database = self.cloud.client_of("dynamodb", self.credentials_of("UniqosRefresh"))
        asked = {"TableName": TABLE, "KeyConditionExpression": "pk = :pk"}
        database.query(**asked, ExpressionAttributeValues={":pk": {"S": "FAMILY#uniqos#1"}})
        self.denied("UniqosRefresh", database.query, **asked, ExpressionAttributeValues={":pk": {"S": "FAMILY#elastic#1"}})
        print(f"deletes, scans, edits of the keyring: denied to {len(self.functions)} functions, as another's keys are",
              flush=True)

    def denied(self, function, call, **given):
        try:
            call(**given)
        except botocore.exceptions.ClientError as error:
            equal(error.response["Error"]["Code"], "AccessDeniedException", f"{function}: {call.__name__}")
        else:
            raise AssertionError(f"{function} may {call.__name__}")

    def credentials_of(self, function):
        """A session of the function's role. Lambda alone may assume it, so this one is the emulator's root's."""
        role = self.functions[function]["Role"]
        given = self.cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]

    def publish_keys(self):
        """Has the next keys published by the function, and be as old as they have to be before they sign."""
        rotation = Rotation(self.cloud, self.functions["KeyRotation"], self.outputs["KeyringArn"])
        rotation.scheduled()
        rotation.does_nothing()
        rotation.age("active", "published_at", "promoted_at")
        rotation.run("active", "next")
        rotation.does_nothing()
        refused = self.cloud.run(RONDO, "keys", "promote", "--secret", self.outputs["KeyringArn"], fails=True)
        if "has not reached every verifier" not in refused:
            raise AssertionError(f"keys that nobody knows yet were not refused for that: {refused}")
        rotation.age("next", "published_at")
        return rotation

    def forget_keys(self, rotation, clients, access_token):
        """What was issued before the rotation is good after it, until the keys that made it are forgotten: then they have
        outlived it."""
        rotation.does_nothing()
        published = {key["kid"] for key in self.cloud.call("GET", "/.well-known/jwks.json").json()["keys"]}
        equal(key_of(access_token) in published, True, "that the key of an access token is published")
        for client in clients:
            equal(client.refresh().status, 200, f"{client.tenant}: a token from before the rotation")
        rotation.age("retired", "retired_at")
        rotation.run("active")
        for client in clients:
            equal(client.refresh().status, 200, f"{client.tenant}: a refresh after the old keys were forgotten")
        print("keys published, promoted and forgotten by the schedule's function: no token suffered", flush=True)

    def update_under_load(self):
        """Clients refresh without a pause while the stack is updated and its keys are rotated: none is refused, none gets
        an error."""
        idle = [self.open(product, "idle") for product in PRODUCTS]
        access_token = idle[PRODUCTS.index(Uniqos)].refresh().json()["access_token"]
        rotation = self.publish_keys()
        clients = [self.open(product, f"load {n}") for product in PRODUCTS for n in range(2)]
        answers, stopped, updated = [], threading.Event(), threading.Event()

        def load(client):
            while not stopped.is_set():
                answers.append((type(client).__name__, client.refresh().status, updated.is_set()))

        before = clients[0].key()
        threads = [threading.Thread(target=load, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        try:
            until(lambda: len(answers) > len(clients), "the load to begin")
            # Every function gets another configuration, and so new instances.
            self.deploy(UniqosAccessTokenSecs=901, DreadnodeAccessTokenSecs=901, ElasticTokenSecs=3601,
                        ReplykeAccessTokenSecs=1801)
            # All instances know the next keys by now. Those of the second update read that they sign.
            rotation.run("active", "retired")
            self.deploy(UniqosAccessTokenSecs=902, DreadnodeAccessTokenSecs=902, ElasticTokenSecs=3602,
                        ReplykeAccessTokenSecs=1802)
            updated.set()
            seen = len(answers)
            until(lambda: len(answers) > seen + 2 * len(clients), "refreshes after the update")
        finally:
            stopped.set()
            for thread in threads:
                thread.join()
        failed = [answer for answer in answers if answer[1] != 200]
        equal(failed, [], "refreshes that failed during the update")
        told = self.open(Uniqos, "after").refresh().json()["expires_in"]
        equal(told, 902, "what the update changed")
        if clients[0].key() == before:
            raise AssertionError("the new key signs nothing")
        print(f"{len(answers)} refreshes, {sum(after for *_, after in answers)} of them after two updates and a rotation of "
              "keys; none failed", flush=True)
        self.forget_keys(rotation, idle, access_token)

    def fronts(self):
        """The same sessions, through whatever may stand in front."""
        self.deploy(RestApi="true", FunctionUrls="true", CloudFront="true")
        client = self.open(Uniqos, "fronts")
        rest = self.outputs["RestApiUrl"].removeprefix("https://").split(".")[0]
        rest_host, stage = f"{rest}.execute-api.localhost:{self.cloud.port}", "/live"
        answer = self.cloud.call("POST", stage + Uniqos.path, host=rest_host, **client.request(client.token))
        equal(answer.status, 200, f"a refresh through the REST API ({answer})")
        equal(self.cloud.call("POST", f"{stage}/sessions", host=rest_host, body={}).status, 403,
              "an unsigned call's status at the REST API")
        url = self.function_url("UniqosRefresh")
        answer = self.cloud.call("POST", "/", host=url, **client.request(client.token))
        equal(answer.status, 200, f"a refresh through a function URL ({answer})")
        equal(self.cloud.call("POST", "/sessions", host=self.function_url("Sessions"), body={}).status, 403,
              "an unsigned call's status at the function URL")
        self.front_door()
        print("REST API, function URLs, CloudFront's secret: as they should be", flush=True)

    def function_url(self, function):
        url = self.outputs[f"{function}FunctionUrl"]
        return f"{url.removeprefix('https://').split('.')[0]}.lambda-url.us-east-1.localhost:{self.cloud.port}"

    def front_door(self):
        """A forwarded address counts with the secret alone that the stack has drawn."""
        variables = self.cloud.client("lambda").get_function_configuration(
            FunctionName=self.functions["UniqosRefresh"]["FunctionName"])["Environment"]["Variables"]
        secret = variables["FRONT_DOOR_SECRET"]
        if len(secret) < 32 or "resolve" in secret:
            raise AssertionError("the front door has no secret")
        for given, seen in ((secret, "203.0.113.7"), (secret[:-1], "127.0.0.1")):
            client = self.open(Uniqos, f"front door {seen}")
            headers = {**client.request(client.token)["headers"], "X-Forwarded-For": "203.0.113.7", "X-Rondo-Front-Door": given}
            equal(self.cloud.call("POST", Uniqos.path, headers=headers).status, 200, "a refresh through the front door")
            listed = self.cloud.signed("GET", f"/sessions?tenant=uniqos&user={USER}&limit=100", self.backend).json()
            (ip,) = [session["ip"] for session in listed["sessions"] if session["family"] == client.family]
            equal(ip, seen, "the client's address")

    def delete(self):
        """The stack goes; the table, with what is in it, and the keyring stay."""
        clients = [self.open(product, "kept") for product in PRODUCTS]
        formation = self.cloud.client("cloudformation")
        formation.delete_stack(StackName=STACK)
        formation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
        equal(self.cloud.client("lambda").list_functions()["Functions"], [], "the functions after the deletion")
        shown = self.rondo("--aws", "--table", TABLE, "session", "show", clients[0].family)
        if clients[0].family not in shown:
            raise AssertionError("the table lost a session")
        keyring = self.cloud.client("secretsmanager").get_secret_value(SecretId=self.outputs["KeyringArn"])
        if "uniqos" not in keyring["SecretString"]:
            raise AssertionError("the keyring is gone")
        kept = {f"Existing{name}": self.outputs[name] for name in ("TableArn", "TableStreamArn", "KeyringArn")}
        self.over_another_table(clients)
        self.again(clients, kept)

    def over_another_table(self, clients):
        """A table of another schema is told at the start, in one log line that names what to do, and drops nobody's token."""
        table = self.cloud.client("dynamodb").create_table(**OTHER_TABLE)["TableDescription"]
        self.deploy(ExistingTableArn=table["TableArn"], ExistingTableStreamArn=table["LatestStreamArn"],
                    ExistingKeyringArn=self.outputs["KeyringArn"])
        for client in clients:
            answer, function = client.refresh(), f"{type(client).__name__}Refresh"
            equal((answer.status, answer.cookies), (client.broken, []), f"{client.tenant}: an answer over another's table")
            until(lambda: self.logged(function, "TABLE_NAME must name one of the keys pk and sk"),
                  f"{client.tenant}: a log line that tells what table is needed")

    def again(self, clients, kept):
        """Another stack takes up where the one before left off."""
        self.deploy(**kept)
        for client in clients:
            equal(client.refresh().status, 200, f"{client.tenant}: a refresh of a session that outlived its stack")


def main():
    started = time.monotonic()
    with part("lint"):
        lint()
    with part("policies and parameters"):
        evaluate()
    with part("build"):
        build()
    with tempfile.TemporaryDirectory(prefix="rondo-deployment-") as folder:
        cloud = Cloud(Path(folder))
        try:
            stories(cloud)
        except BaseException:
            print(cloud.last_words(), file=sys.stderr)
            raise
        finally:
            cloud.stop()
    taken = time.monotonic() - started
    print(f"== the deployment test: {int(taken // 60)} min {taken % 60:04.1f} s", flush=True)


def stories(cloud):
    deployment = Deployment(cloud)
    with part("start and deploy"):
        cloud.start()
        deployment.deploy()
        deployment.resources()
        deployment.bad_parameters()
    with part("keys and people"):
        deployment.without_keys()
        deployment.people()
        deployment.backends_alone()
    with part("every product"):
        deployment.every_story()
        deployment.browsers()
        deployment.passwords()
        deployment.lacking()
    with part("update under load"):
        deployment.update_under_load()
    with part("what may stand in front"):
        deployment.fronts()
    with part("delete, and deploy again"):
        deployment.delete()


if __name__ == "__main__":
    main()
