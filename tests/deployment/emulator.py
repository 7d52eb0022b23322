"""Starts the emulator with its gaps filled: run by its own Python, in a clean environment.

ministack is silent about what it leaves out of a template. What this stack needs and would miss is done here, by
wrapping its CloudFormation handlers: the routes in an HTTP API's `Body` (what SAM's `HttpApi` events become), a REST API's
methods that take any and those that IAM authorizes, the spelling of CORS keys, a table's expiry, recovery and
protection, alarms over expressions, and secrets, which a template refers to by ARN and which have no value until they get
one. A request to DynamoDB is told apart by its leading keys, and one to EventBridge by its sources, so that the conditions on
them hold; a batch of a stream of which a record failed is brought again; a preflight goes to its route, since the API has no CORS
configuration; and an instance that is replaced finishes what it is at, as Lambda has it.
`deploy.py` asserts the results after the deployment, so that a version which opens a gap is noticed.
"""

import json
import re
import threading
import time

from ministack.app import main
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import apigateway, apigateway_v1, dynamodb, lambda_svc, secretsmanager
from ministack.services.cloudformation import provisioners

HANDLERS = provisioners._RESOURCE_HANDLERS
API, TABLE = HANDLERS["AWS::ApiGatewayV2::Api"], HANDLERS["AWS::DynamoDB::Table"]
SECRET = HANDLERS["AWS::SecretsManager::Secret"]
ANY_METHOD = "x-amazon-apigateway-any-method"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", ANY_METHOD)


def lower_first(value):
    """`AllowOrigins` as `allowOrigins`, all the way down."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: lower_first(inner) for key, inner in value.items()}
    return value


def routes_of(body):
    """Each operation of an OpenAPI document: its route key, its integration, and whether IAM authorizes it."""
    for path, operations in (body.get("paths") or {}).items():
        for method, operation in operations.items():
            if method not in METHODS:
                continue
            verb = "ANY" if method == ANY_METHOD else method.upper()
            by_iam = any("AWS_IAM" in scheme for scheme in operation.get("security") or [])
            yield f"{verb} {path}", operation["x-amazon-apigateway-integration"], by_iam


def put_routes(api_id, body):
    """Makes an API's routes those of its body."""
    for kept in (apigateway._routes, apigateway._integrations):
        kept[api_id] = {}
    for route_key, integration, by_iam in routes_of(body):
        properties = {
            "ApiId": api_id,
            "IntegrationType": integration["type"].upper(),
            "IntegrationUri": integration["uri"],
            "PayloadFormatVersion": integration["payloadFormatVersion"],
        }
        integration_id, _ = HANDLERS["AWS::ApiGatewayV2::Integration"]["create"]("Integration", properties, "")
        HANDLERS["AWS::ApiGatewayV2::Route"]["create"]("Route", {
            "ApiId": api_id,
            "RouteKey": route_key,
            "Target": f"integrations/{integration_id}",
            "AuthorizationType": "AWS_IAM" if by_iam else "NONE",
        }, "")


def api_properties(props):
    props = dict(props)
    if props.get("CorsConfiguration"):
        props["CorsConfiguration"] = lower_first(props["CorsConfiguration"])
    # SAM names the API in its body.
    props.setdefault("Name", (props.get("Body") or {}).get("info", {}).get("title"))
    return props


def create_api(logical_id, props, stack_name, create=API["create"]):
    api_id, attributes = create(logical_id, api_properties(props), stack_name)
    put_routes(api_id, props.get("Body") or {})
    return api_id, attributes


def update_api(physical_id, old, new, stack_name, logical_id=None, update=API["update"]):
    api_id, attributes = update(physical_id, api_properties(old), api_properties(new), stack_name, logical_id)
    # Only where they change: requests are under way.
    if api_id != physical_id or list(routes_of(old.get("Body") or {})) != list(routes_of(new.get("Body") or {})):
        put_routes(api_id, new.get("Body") or {})
    return api_id, attributes


def settle_table(name, props):
    if props.get("TimeToLiveSpecification"):
        dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": props["TimeToLiveSpecification"]})
    if props.get("PointInTimeRecoverySpecification"):
        recovery = props["PointInTimeRecoverySpecification"]
        dynamodb._update_continuous_backups({"TableName": name, "PointInTimeRecoverySpecification": recovery})
    table = dynamodb._tables[name]
    # A parameter is a text, and a text is true.
    table["DeletionProtectionEnabled"] = str(props.get("DeletionProtectionEnabled", False)).lower() == "true"
    if (props.get("SSESpecification") or {}).get("SSEEnabled"):
        table["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS"}


def create_table(logical_id, props, stack_name, create=TABLE["create"]):
    name, attributes = create(logical_id, props, stack_name)
    settle_table(name, props)
    return name, attributes


def update_table(physical_id, old, new, stack_name, logical_id=None, update=TABLE["update"]):
    name, attributes = update(physical_id, old, new, stack_name, logical_id)
    settle_table(name, new)
    return name, attributes


def name_of(secret_id):
    """A secret's name, by which the emulator keeps it."""
    return next((name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == secret_id), secret_id)


def create_secret(logical_id, props, stack_name, create=SECRET["create"]):
    name, attributes = create(logical_id, props, stack_name)
    if not props.keys() & {"SecretString", "GenerateSecretString"}:
        secretsmanager._secrets[name]["Versions"] = {}
    return attributes["Arn"], attributes


def update_secret(physical_id, old, new, stack_name, logical_id=None, update=SECRET["update"]):
    name, attributes = update(name_of(physical_id), old, new, stack_name, logical_id)
    return attributes["Arn"], attributes


def delete_secret(physical_id, props, delete=SECRET["delete"]):
    delete(name_of(physical_id), props)


def import_operation(api_id, resource_id, method, operation, *given, put=apigateway_v1._import_operation):
    method = "ANY" if method == ANY_METHOD.upper() else method
    put(api_id, resource_id, method, operation, *given)
    if operation.get("x-amazon-apigateway-auth", {}).get("type") == "AWS_IAM":
        apigateway_v1._resources[api_id][resource_id]["resourceMethods"][method]["authorizationType"] = "AWS_IAM"


apigateway_v1._OPENAPI_HTTP_METHODS = {*apigateway_v1._OPENAPI_HTTP_METHODS, ANY_METHOD}
apigateway_v1._import_operation = import_operation


class KeyedArn(str):
    """A table's ARN with the leading keys of the one item that is asked for."""

    keys = None


def leading_keys(request):
    """The partition keys that a request names, as IAM's `dynamodb:LeadingKeys`; none where it names none."""
    for item in (request.get("Key"), request.get("Item")):
        if item and "pk" in item:
            return [item["pk"]["S"]]
    names, values = request.get("ExpressionAttributeNames") or {}, request.get("ExpressionAttributeValues") or {}
    for name, value in re.findall(r"([#\w]+)\s*=\s*(:\w+)", request.get("KeyConditionExpression") or ""):
        if names.get(name, name) == "pk":
            return [values[value]["S"]]
    return []


def request_context(body, context=iam_actions.dynamodb_service_context):
    keys = leading_keys(json.loads(body or b"{}"))
    return {**context(body), **({"dynamodb:LeadingKeys": keys} if keys else {})}


def tag_context(service, action, body, *given, context=iam_actions.request_tag_context):
    """What every request says of itself, and what a call of EventBridge says: the sources of its events."""
    found = context(service, action, body, *given)
    if action != "events:PutEvents":
        return found
    return {**found, "events:source": [entry["Source"] for entry in json.loads(body)["Entries"]]}


def transaction_checks(action, body, *place, checks=iam_actions.dynamodb_transaction_checks):
    """Each item of a transaction is allowed or denied for itself, with its own key."""
    found = []
    for item in json.loads(body or b"{}").get("TransactItems") or []:
        for item_action, arn in checks(action, json.dumps({"TransactItems": [item]}).encode(), *place):
            keyed = KeyedArn(arn)
            keyed.keys = leading_keys(next(iter(item.values())))
            found.append((item_action, keyed))
    return found


def enforce(*given, resource_arn="*", service_context=None, check=iam_evaluator.enforce):
    keys = getattr(resource_arn, "keys", None)
    context = {**(service_context or {}), **({"dynamodb:LeadingKeys": keys} if keys else {})}
    return check(*given, resource_arn=resource_arn, service_context=context)


def alarm_record(name, props, record=provisioners._cw_metric_alarm_record):
    """An alarm over an expression of metrics stands as one over a metric: nothing here sets any off."""
    if props.get("Metrics"):
        props = {**props, "Metrics": None, "MetricName": "expression", "Namespace": "expression"}
    return record(name, props)


def execute(function, event, run=lambda_svc._execute_function):
    """A batch of a stream of which the function reports a record as failed is brought again, whole: which Lambda may do too."""
    result = run(function, event)
    batch = event.get("Records") if isinstance(event, dict) else None
    if not batch or batch[0].get("eventSource") != "aws:dynamodb" or result.get("error"):
        return result
    body = result.get("body")
    answer = json.loads(body) if isinstance(body, (str, bytes)) else body
    if not (answer or {}).get("batchItemFailures"):
        return result
    return {**result, "error": True, "body": {"errorType": "BatchItemFailures", "errorMessage": "records failed"}}


class Routed(str):
    """A method that is routed as any other: the emulator takes it for no preflight of its own."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        return other != "OPTIONS" and str.__eq__(self, other)


async def route(api_id, stage, path, method, *given, handle=apigateway._handle_execute_in_scope):
    """An HTTP API without a CORS configuration leaves preflights to its routes."""
    api = apigateway._apis.get(api_id) or {}
    is_left = method == "OPTIONS" and not api.get("corsConfiguration")
    return await handle(api_id, stage, path, Routed(method) if is_left else method, *given)


def end_when_idle(workers, end=lambda_runtime.kill_workers):
    def drain(worker, until):
        while worker.in_use and time.monotonic() < until:
            time.sleep(0.01)
        end([worker])

    for worker in filter(None, workers):
        threading.Thread(target=drain, args=(worker, time.monotonic() + 10), daemon=True).start()


lambda_runtime.kill_workers = end_when_idle
apigateway._handle_execute_in_scope = route
provisioners._cw_metric_alarm_record = alarm_record
lambda_svc._execute_function = execute
iam_actions.dynamodb_service_context = request_context
iam_actions.request_tag_context = tag_context
iam_actions.dynamodb_transaction_checks = transaction_checks
iam_evaluator.enforce = enforce
SECRET.update(create=create_secret, update=update_secret, delete=delete_secret)
API.update(create=create_api, update=update_api)
TABLE.update(create=create_table, update=update_table)

if __name__ == "__main__":
    main()
