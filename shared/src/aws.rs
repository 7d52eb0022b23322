//! Where AWS's services are reached, and the one HTTP client that all of this crate's clients of them share: HTTP/1.1
//! over rustls with ring, which costs a cold start a tenth of what the SDK's own default does. What is asked of a service
//! stands in the one file that names its SDK.

use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::meta::region::ProvideRegion as _;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::config::Reader;

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An emulator on this machine: plain HTTP, made-up credentials.
    Local {
        /// `http://127.0.0.1:<port>`
        url: String,
    },
    /// The service, as a Lambda function reaches it: region and credentials from its environment variables, without
    /// the default chain, which costs a cold start 1 to 1.5 ms of CPU time.
    Function,
    /// The same at another address: an emulator that functions are deployed to, or a VPC endpoint.
    FunctionAt {
        /// `http://127.0.0.1:<port>`, or `https://…`
        url: String,
    },
    /// The service, as a person reaches it: profile, SSO and all that the default chain knows.
    Person,
}

/// How long a service may take, and how often it is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For opening a connection.
    pub connect: Duration,
    /// For one attempt.
    pub attempt: Duration,
    /// For an operation with all its attempts and the waits between them.
    pub operation: Duration,
    /// How many attempts.
    pub attempts_max: u32,
    /// The wait before the first retry, doubled and jittered by the SDK.
    pub initial_backoff: Duration,
}

/// The address of every service, as all of AWS's SDKs call the variable.
const EVERY_SERVICE: &str = "AWS_ENDPOINT_URL";

impl Endpoint {
    /// The local endpoint at `url`, if it is on this machine's loopback.
    #[must_use]
    pub fn local(url: &str) -> Option<Self> {
        is_loopback(url).then(|| Self::Local { url: url.to_owned() })
    }

    /// Where a function finds a service: `variable` names an emulator on this machine that asks for no credentials,
    /// `AWS_ENDPOINT_URL` the address of all services; neither is set on AWS. What is wrong is noted with the reader.
    pub fn configured(reader: &mut Reader, variable: &str) -> Self {
        match reader.raw(variable).map(Self::local) {
            Some(Some(local)) => return local,
            Some(None) => reader.problem(variable, "must be http://127.0.0.1:<port>, or unset on AWS"),
            None => {}
        }
        match reader.raw(EVERY_SERVICE).map(str::to_owned) {
            None => Self::Function,
            Some(url) if is_loopback(&url) || url.starts_with("https://") => Self::FunctionAt { url },
            Some(_) => {
                reader.problem(EVERY_SERVICE, "must be https://…, http://127.0.0.1:<port>, or unset");
                Self::Function
            }
        }
    }

    /// What a client of any service is made from. Nothing is connected yet.
    pub(crate) async fn config(&self, patience: Patience) -> SdkConfig {
        match self {
            Self::Local { url } => over(plain(), url, patience),
            Self::Function => function(over_tls(), None, patience).await,
            Self::FunctionAt { url } if is_loopback(url) => function(plain(), Some(url), patience).await,
            Self::FunctionAt { url } => function(over_tls(), Some(url), patience).await,
            Self::Person => {
                let chain = aws_config::defaults(BehaviorVersion::latest()).http_client(over_tls());
                chain.timeout_config(patience.timeouts()).retry_config(patience.retries()).load().await
            }
        }
    }
}

impl Patience {
    fn timeouts(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.connect)
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.operation)
            .build()
    }

    fn retries(self) -> RetryConfig {
        RetryConfig::standard().with_max_attempts(self.attempts_max).with_initial_backoff(self.initial_backoff)
    }
}

/// Over a given HTTP client, at a given address, with made-up credentials: for the local stack, and for tests that lose
/// answers below the SDK's retries.
pub(crate) fn over(http: SharedHttpClient, url: &str, patience: Patience) -> SdkConfig {
    let credentials = SharedCredentialsProvider::new(Credentials::new("local", "local", None, None, "local"));
    with(http, Some(Region::from_static("us-east-1")), credentials, Some(url), patience)
}

async fn function(http: SharedHttpClient, url: Option<&str>, patience: Patience) -> SdkConfig {
    let region = EnvironmentVariableRegionProvider::new().region().await;
    let credentials = SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new());
    with(http, region, credentials, url, patience)
}

fn with(
    http: SharedHttpClient,
    region: Option<Region>,
    credentials: SharedCredentialsProvider,
    url: Option<&str>,
    patience: Patience,
) -> SdkConfig {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(region)
        .credentials_provider(credentials)
        .timeout_config(patience.timeouts())
        .retry_config(patience.retries());
    match url {
        Some(url) => config.endpoint_url(url).build(),
        None => config.build(),
    }
}

fn plain() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

fn over_tls() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

fn is_loopback(url: &str) -> bool {
    let Some(authority) = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) else { return false };
    let Some((host, port)) = authority.rsplit_once(':') else { return false };
    matches!(host, "127.0.0.1" | "localhost" | "[::1]") && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(variables: &[(&'static str, &'static str)]) -> Result<Endpoint, String> {
        let mut reader = Reader::new(variables.iter().copied());
        let endpoint = Endpoint::configured(&mut reader, "AWS_ENDPOINT_URL_DYNAMODB");
        reader.finish().map(|()| endpoint).map_err(|error| error.to_string())
    }

    #[test]
    fn a_service_is_aws_unless_a_variable_names_another() {
        let (one, every) = ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL");
        let at = |url: &str| Endpoint::FunctionAt { url: url.to_owned() };
        let local = Endpoint::Local { url: "http://127.0.0.1:8000".to_owned() };
        assert_eq!(configured(&[]).unwrap(), Endpoint::Function);
        assert_eq!(configured(&[(every, "http://127.0.0.1:4599")]).unwrap(), at("http://127.0.0.1:4599"));
        assert_eq!(configured(&[(every, "https://vpce.example.com")]).unwrap(), at("https://vpce.example.com"));
        let both = [(every, "http://127.0.0.1:4599"), (one, "http://127.0.0.1:8000")];
        assert_eq!(configured(&both).unwrap(), local, "one service's variable comes before that of all");
    }

    #[test]
    fn nothing_is_sent_in_the_clear_over_a_network() {
        for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"] {
            for url in ["http://10.0.0.1:8000", "http://127.0.0.1.example.com:80", "127.0.0.1:8000", "http://127.0.0.1"]
            {
                assert!(configured(&[(variable, url)]).unwrap_err().contains(variable), "{url}");
            }
        }
    }
}
