//! The three kinds of gateway before a function, each with its own form of one request.

use serde_json::{Map, Value, json};

/// What hands a request to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// An HTTP API, payload format 2.0: what tests write their events as.
    HttpApi,
    /// A REST API, payload format 1.0: cookies among the headers, each header twice.
    RestApi,
    /// A function URL: payload format 2.0 without routes.
    FunctionUrl,
}

impl Gateway {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::HttpApi, Self::RestApi, Self::FunctionUrl];

    /// The request of an HTTP API's event as this gateway hands it over.
    pub fn event(self, http_api: &Value) -> Value {
        match self {
            Self::HttpApi => http_api.clone(),
            Self::FunctionUrl => of_function_url(http_api.clone()),
            Self::RestApi => of_rest_api(http_api),
        }
    }
}

fn of_function_url(mut event: Value) -> Value {
    event["routeKey"] = json!("$default");
    let context = &mut event["requestContext"];
    context["routeKey"] = json!("$default");
    context["stage"] = json!("$default");
    context["domainName"] = json!("abc123.lambda-url.us-east-1.on.aws");
    context["accountId"] = json!("anonymous");
    context["authentication"] = Value::Null;
    event
}

fn of_rest_api(event: &Value) -> Value {
    let http = &event["requestContext"]["http"];
    let mut once: Map<String, Value> = event["headers"].as_object().cloned().unwrap_or_default();
    let mut all: Map<String, Value> =
        once.iter().map(|(name, value)| (name.clone(), Value::Array(vec![value.clone()]))).collect();
    if let Some(cookies) = event["cookies"].as_array().filter(|cookies| !cookies.is_empty()) {
        let cookies: Vec<&str> = cookies.iter().filter_map(Value::as_str).collect();
        let header = json!(cookies.join("; "));
        once.insert("Cookie".to_owned(), header.clone());
        all.insert("Cookie".to_owned(), json!([header]));
    }
    json!({
        "resource": "/{proxy+}",
        "path": event["rawPath"],
        "httpMethod": http["method"],
        "headers": once,
        "multiValueHeaders": all,
        "queryStringParameters": {"raw": event["rawQueryString"]},
        "multiValueQueryStringParameters": {"raw": [event["rawQueryString"]]},
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {
            "accountId": "123456789012", "apiId": "api", "stage": "prod", "protocol": "HTTP/1.1",
            "requestId": "r", "resourceId": "r", "resourcePath": "/{proxy+}", "path": event["rawPath"],
            "httpMethod": http["method"],
            "identity": {"sourceIp": http["sourceIp"], "userAgent": http["userAgent"]},
        },
        "body": event["body"],
        "isBase64Encoded": event["isBase64Encoded"],
    })
}
