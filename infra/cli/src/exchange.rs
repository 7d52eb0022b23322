//! One refresh over HTTP, as a client of the product makes it: a request with a cookie, and what comes back.

use std::time::Duration;

use serde_json::Value;

/// A function that is compiled first takes minutes to answer.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// No answer came.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {url}: {what}")]
pub struct ExchangeError {
    url: String,
    what: String,
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
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
        self.set_cookie(name).is_some_and(|cookie| cookie.contains("Max-Age=0"))
    }

    fn set_cookie(&self, name: &str) -> Option<&String> {
        let is_named = |cookie: &&String| cookie.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        self.set_cookies.iter().find(is_named)
    }

    /// The error's code, where the answer is one of the product's errors.
    #[must_use]
    pub fn error_code(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        Some(body.pointer("/error/code")?.as_str()?.to_owned())
    }
}

/// Refreshes: posts to `url` with a cookie (`name=value`), if there is one. Blocks until the answer has come.
///
/// # Errors
/// [`ExchangeError`] where none came.
pub fn refresh(url: &str, cookie: Option<&str>, user_agent: &str) -> Result<Answer, ExchangeError> {
    // No proxy, whatever the environment says: this never leaves the machine.
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let failed = |error: ureq::Error| ExchangeError { url: url.to_owned(), what: error.to_string() };
    let request = agent.post(url).header("user-agent", user_agent);
    let request = match cookie {
        Some(cookie) => request.header("cookie", cookie),
        None => request,
    };
    let mut response = request.send_empty().map_err(failed)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_kept_until_it_is_cleared() {
        let answer = |cookie: &str| Answer {
            status: 200,
            set_cookies: vec!["other=1".to_owned(), cookie.to_owned()],
            request_id: None,
            body: String::new(),
        };
        let set = answer("r=a.b.c; HttpOnly; Max-Age=60");
        assert_eq!((set.kept_cookie("r").as_deref(), set.clears_cookie("r")), (Some("r=a.b.c"), false));
        let cleared = answer("r=; HttpOnly; Max-Age=0");
        assert_eq!((cleared.kept_cookie("r"), cleared.clears_cookie("r")), (None, true));
    }
}
