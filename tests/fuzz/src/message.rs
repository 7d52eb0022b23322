//! Requests as a fuzzer can write them: text of the form of an HTTP message, made into a gateway's event.
//!
//! ```text
//! h POST /v1/auth/refresh?a=b 192.0.2.1        h HTTP API, r REST API, u function URL; H, R, U: base64 is claimed
//! cookie: uniqos_refresh=$T                     $T a good token, $O a good token of another product
//! content-type: application/json
//!
//! {}
//! ```
//!
//! Whatever is not of that form is an event of its own, as JSON.

use serde_json::{Map, Value, json};

/// The event that these bytes are.
pub fn event(data: &[u8], good: &str, others: &str) -> String {
    let text = String::from_utf8_lossy(data).replace("$T", good).replace("$O", others);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [shape, method, target, ip] = first.as_slice() else { return text };
    let headers: Vec<(&str, &str)> =
        lines.map(|line| line.split_once(':').map_or((line, ""), |(name, value)| (name, value.trim()))).collect();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut event = match shape.to_ascii_lowercase().as_str() {
        "h" | "u" => http_api(method, path, query, ip, &headers),
        "r" => rest_api(method, path, query, ip, &headers),
        _ => return text,
    };
    if !body.is_empty() {
        event["body"] = json!(body);
    }
    event["isBase64Encoded"] = json!(shape.bytes().all(|byte| byte.is_ascii_uppercase()));
    event.to_string()
}

/// Version 2.0, which function URLs send too: cookies apart, a repeated header's values joined by a comma.
fn http_api(method: &str, path: &str, query: &str, ip: &str, headers: &[(&str, &str)]) -> Value {
    let (cookies, others): (Vec<_>, Vec<_>) = headers.iter().partition(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let mut joined = Map::new();
    for (name, value) in others {
        let before = joined.get::<str>(name).and_then(Value::as_str).map(|before| format!("{before},{value}"));
        joined.insert((*name).to_owned(), json!(before.unwrap_or_else(|| (*value).to_owned())));
    }
    let http = json!({"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": ip, "userAgent": "fuzz"});
    let mut event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": joined,
        "isBase64Encoded": false,
        "requestContext": {"accountId": "1", "apiId": "api", "domainName": "api.example.test", "stage": "$default",
                           "requestId": "r", "routeKey": "$default", "time": "", "timeEpoch": 0, "http": http}});
    if !cookies.is_empty() {
        event["cookies"] = cookies.iter().map(|(_, value)| json!(value)).collect();
    }
    event
}

/// Version 1.0: every header twice, once with its last value and once with all.
fn rest_api(method: &str, path: &str, query: &str, ip: &str, headers: &[(&str, &str)]) -> Value {
    let (mut last, mut all) = (Map::new(), Map::new());
    for (name, value) in headers {
        last.insert((*name).to_owned(), json!(value));
        let values = all.entry((*name).to_owned()).or_insert_with(|| json!([]));
        values.as_array_mut().unwrap().push(json!(value));
    }
    let parameters: Map<String, Value> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    json!({"resource": "/{proxy+}", "path": path, "httpMethod": method, "headers": last, "multiValueHeaders": all,
           "queryStringParameters": parameters, "isBase64Encoded": false,
           "requestContext": {"stage": "prod", "httpMethod": method, "path": path, "protocol": "HTTP/1.1",
                              "identity": {"sourceIp": ip, "userAgent": "fuzz"}}})
}
