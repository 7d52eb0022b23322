//! One call over HTTP, as a client of a product makes it, and what comes back.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::http::{Method, Request};

use crate::failure::Failure;

/// A function that is compiled first takes minutes to answer.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// No answer came.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {url}: {what}")]
pub struct ExchangeError {
    url: String,
    what: String,
}

/// A request. `Debug` shows none of its secrets.
#[derive(Clone)]
pub struct Call {
    method: Method,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("method", &self.method).field("url", &self.url).finish_non_exhaustive()
    }
}

impl Call {
    /// `POST`, without a body.
    #[must_use]
    pub fn post(url: impl Into<String>) -> Self {
        Self { method: Method::POST, url: url.into(), headers: Vec::new(), body: Some(String::new()) }
    }

    /// `GET`.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: Method::GET, url: url.into(), headers: Vec::new(), body: None }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With cookies: `name=value`, or several with `; ` between them.
    #[must_use]
    pub fn cookie(self, pairs: &str) -> Self {
        self.header("cookie", pairs)
    }

    /// With a bearer token (RFC 6750 §2.1).
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// With a name and a password (RFC 7617 §2).
    #[must_use]
    pub fn basic(self, name: &str, password: &str) -> Self {
        self.header("authorization", format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self.header("content-type", "application/json")
    }

    /// By a client of this name.
    #[must_use]
    pub fn by(self, user_agent: &str) -> Self {
        self.header("user-agent", user_agent)
    }

    /// Makes the call.
    ///
    /// # Errors
    /// [`Failure::Exchange`] where no answer came.
    pub async fn answered(self) -> Result<Answer, Failure> {
        let url = self.url.clone();
        let answer = tokio::task::spawn_blocking(move || self.answered_blocking()).await;
        let cut = |_| ExchangeError { url, what: "the request was cut short".to_owned() };
        Ok(answer.map_err(cut)??)
    }

    fn answered_blocking(self) -> Result<Answer, ExchangeError> {
        // No proxy, whatever the environment says: this never leaves the machine.
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let Self { method, url, headers, body } = self;
        let failed = |error: ureq::Error| ExchangeError { url: url.clone(), what: error.to_string() };
        let request = Request::builder().method(method).uri(&url);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let mut response = match body {
            Some(body) => agent.run(request.body(body).map_err(|error| failed(error.into()))?),
            None => agent.run(request.body(()).map_err(|error| failed(error.into()))?),
        }
        .map_err(failed)?;
        let headers = response.headers();
        let texts = headers.get_all("set-cookie").iter().filter_map(|value| Some(value.to_str().ok()?.to_owned()));
        let request_id = headers.get("x-request-id").and_then(|value| Some(value.to_str().ok()?.to_owned()));
        Ok(Answer {
            status: response.status().as_u16(),
            set_cookies: texts.collect(),
            request_id,
            body: response.body_mut().read_to_string().map_err(failed)?,
        })
    }
}

/// What was answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Every `Set-Cookie`.
    pub set_cookies: Vec<String>,
    /// `X-Request-Id`.
    pub request_id: Option<String>,
    /// The body.
    pub body: String,
}

/// An answer is made of secrets: it is not shown.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer {
    /// The cookie that a client keeps, as it sends it the next time: `name=value`. None if none was set, or if it was
    /// cleared.
    #[must_use]
    pub fn kept_cookie(&self, name: &str) -> Option<String> {
        let pair = self.set_cookie(name)?.split(';').next()?.trim();
        (pair.len() > name.len() + 1).then(|| pair.to_owned())
    }

    /// Whether the client is told to forget the cookie.
    #[must_use]
    pub fn clears_cookie(&self, name: &str) -> bool {
        self.set_cookie(name).is_some_and(|cookie| is_cleared(cookie))
    }

    fn set_cookie(&self, name: &str) -> Option<&String> {
        let is_named = |cookie: &&String| cookie.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        self.set_cookies.iter().find(is_named)
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// A text in the JSON body, by its pointer (RFC 6901).
    #[must_use]
    pub fn text(&self, pointer: &str) -> Option<String> {
        Some(self.json().pointer(pointer)?.as_str()?.to_owned())
    }

    /// The error's code, where the answer is an error of one of the products.
    #[must_use]
    pub fn error_code(&self) -> Option<String> {
        let body = self.json();
        let code = ["/error/code", "/errors/0/code", "/code", "/type"].iter().find_map(|at| body.pointer(at)?.as_str());
        code.filter(|_| self.status >= 400).map(str::to_owned)
    }

    /// The answer in a few words: its status, its error and what becomes of the client's cookies.
    #[must_use]
    pub fn meaning(&self) -> String {
        let code = self.error_code().map(|code| format!(" {code}")).unwrap_or_default();
        let (cleared, set): (Vec<_>, Vec<_>) = self.set_cookies.iter().partition(|cookie| is_cleared(cookie));
        let cookies = match (set.as_slice(), cleared.as_slice()) {
            ([], []) => "",
            ([], [_, ..]) => ", cookie cleared",
            ([_, ..], _) => ", new cookie",
        };
        format!("{}{code}{cookies}", self.status)
    }
}

fn is_cleared(set_cookie: &str) -> bool {
    set_cookie.contains("Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, cookies: &[&str], body: &str) -> Answer {
        let set_cookies = cookies.iter().map(|cookie| (*cookie).to_owned()).collect();
        Answer { status, set_cookies, request_id: None, body: body.to_owned() }
    }

    #[test]
    fn a_cookie_is_kept_until_it_is_cleared() {
        let set = answer(200, &["other=1", "r=a.b.c; HttpOnly; Max-Age=60"], "");
        assert_eq!((set.kept_cookie("r").as_deref(), set.clears_cookie("r")), (Some("r=a.b.c"), false));
        let cleared = answer(401, &["other=1", "r=; HttpOnly; Max-Age=0"], "");
        assert_eq!((cleared.kept_cookie("r"), cleared.clears_cookie("r")), (None, true));
    }

    #[test]
    fn the_code_of_every_products_error_is_found_and_that_of_an_answer_is_none() {
        for body in [
            r#"{"error":{"code":"c"}}"#,
            r#"{"errors":[{"code":"c"}]}"#,
            r#"{"error":"sentence","code":"c"}"#,
            r#"{"code":401,"errors":null,"type":"c"}"#,
        ] {
            assert_eq!(answer(401, &[], body).meaning(), "401 c", "{body}");
            assert_eq!(answer(200, &[], body).meaning(), "200", "{body}");
        }
        assert_eq!(answer(429, &[], "<p>wait</p>").meaning(), "429");
    }

    #[test]
    fn nobodys_secrets_are_shown_by_debug() {
        let call = Call::post("http://127.0.0.1:9000/").basic("demo", "secret").json(&serde_json::json!("secret"));
        let shown = format!("{call:?} {:?}", answer(200, &["secret"], "secret"));
        assert!(!shown.contains("secret") && !shown.contains("Basic"), "{shown}");
    }
}
