"""Starts the emulator with its gaps filled: run by its own Python, in a clean environment.

ministack is silent about what it leaves out of a template. What this stack needs and would miss is done here, by
wrapping its CloudFormation handlers: the routes in an HTTP API's `Body` (what SAM's `HttpApi` events become), the spelling
of CORS keys, a table's expiry, recovery and protection, and secrets, which a template refers to by ARN and which have no value
until they get one. `deploy.py` asserts the results after the deployment, so that a version which opens a gap is noticed.
"""

from ministack.app import main
from ministack.services import apigateway, dynamodb, secretsmanager
from ministack.services.cloudformation import provisioners

HANDLERS = provisioners._RESOURCE_HANDLERS
API, TABLE = HANDLERS["AWS::ApiGatewayV2::Api"], HANDLERS["AWS::DynamoDB::Table"]
SECRET = HANDLERS["AWS::SecretsManager::Secret"]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method")


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
            verb = "ANY" if method.startswith("x-") else method.upper()
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


SECRET.update(create=create_secret, update=update_secret, delete=delete_secret)
API.update(create=create_api, update=update_api)
TABLE.update(create=create_table, update=update_table)

if __name__ == "__main__":
    main()
